# ruff: noqa: RUF001 - a lone Arabic alef is no Latin letter
"""What people send beside plain sayings: jokes, links, events, menus, wares, endless letters."""

FACES = ("😂😂😂", "❤️", "👏🏽👏🏽", "🥐☕", "👨‍👩‍👧‍👦", "🏳️‍🌈✨", "🇧🇷", "🫶🏾", "😮‍💨", "1️⃣2️⃣")
"""Texts of emoji alone: with skin tones, joiners, flags and keycaps."""

FORWARDS = (
    "Bom dia! ☀️ Que seu domingo seja abençoado 🙏\nRepasse para 10 amigos 😂",
    "🚨 ATENÇÃO 🚨\nA rua da feira fecha amanhã das 6h às 14h. Repassem!",
    "POV: you said *just one* croissant 🥐🥐🥐",
    "Receita da vó: 3 ovos, 2 xícaras de fubá, 1 de leite… e _muito_ amor ❤️",
)

BOTH_WAYS = (
    "الطلب رقم ORD-{n}-BR جاهز ✅\nالعنوان: Rua Augusta 1500\nالمجموع: R$ {price},00",
    "שלום! אפשר {n} לחמניות ל-{hour}:00?\nתודה רבה 🌷",
    "\u200fمرحبا\u200e hello \u2067שלום\u2069 — {n} قطعة",
    "یک کیک برای {n} نفر، لطفاً\nساعت {hour} 🎂",
)
"""Lines from right to left, mixed with others; some with marks that turn the direction."""

LINKS = (
    ("Olha essa receita: https://example.com/broa?id={n} 😍", "Broa de milho da fazenda"),
    ("Meu endereço novo 👉 https://example.org/mapa#{n}", "Mapa da Vila"),
    ("The bike route for Sunday: https://example.net/r/{n}", "Ride with us"),
)

_LETTER = """
Oi, pessoal! Desculpem o textão, mas preciso contar tudo desde o começo 😅. Ontem o forno {n}
parou às {hour}h, justo quando a fornada grande ia entrar, e ninguém achava o técnico.

*Resumo do que combinamos*
- {n} kg de farinha tipo 1
- {n} formas novas
- entrega às {hour}h, pela porta dos fundos
- pagamento: R$ {price},00 no pix

_Lembrete_: a dona Lúcia pediu para ninguém mexer no fermento natural, porque ele está com a
gente há mais tempo do que o Caio ~e dá menos trabalho~.

Quem puder ficar até mais tarde na sexta, me avise aqui. Pago as horas e o lanche, e no sábado a
loja só abre às {hour}h. Se chover, a gente monta a mesa dos bolos do lado de dentro.

```
fubá      {n} un
laranja   {n} un
cenoura   {n} un
```
Confiram comigo antes de fechar.

Aquela cliente do bolo de {n} andares escreveu de novo: agora quer sem glúten, sem lactose, sem
açúcar — e “com gosto de bolo”. Sugestões? 🙃
"""
PARAGRAPHS = tuple(_LETTER.strip().split("\n\n"))

GATHERINGS = (
    ("Festa junina da padaria 🌽", "Tragam um prato!\nTem quadrilha às {hour}h.", "Rua da Padaria"),
    ("Sunday breakfast", "Table for {n}, by the window.", "Bakery, first floor"),
    ("Reunión de proveedores", "Precios de {n} productos", "Mercado Municipal"),
    ("فطور يوم الأحد", "نلتقي الساعة {hour} ☕", "Parque da Água Branca"),
)

MENUS = (
    ("Como podemos ajudar?", ("Encomendas", "Entrega", "Falar com alguém"), "Padaria, 24h"),
    ("Escolha o recheio do bolo 🎂", ("Doce de leite", "Brigadeiro", "Frutas"), "Até sexta"),
    ("How was everything?", ("👍 Great", "👌 Fine", "👎 Not so good"), "Takes a second"),
)

WARES = ("Bolo de fubá inteiro", "Cesta de café da manhã", "Kit festa 🎉", "Sourdough, 800 g")

COMMUNITIES = ("Vizinhos do Butantã 🏘️", "Mães da escola", "Feira de sábado", "Bike & Bread 🚲")

INVITATIONS = ("Entra no nosso grupo!", "Join us 🥐")

DESCRIPTIONS = (
    "Horários:\nseg a sáb, das 6h às {hour}h",
    "Regras: sem correntes, sem spam 🙏",
    "",
    "Pedidos até as {hour}h. Dúvidas com a Beatriz.",
)

LABELS = ("Novo cliente", "Pago ✅", "Encomenda", "Fornecedor", "VIP ⭐", "Aguardando")
