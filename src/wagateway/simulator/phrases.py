# ruff: noqa: RUF001 - a lone Arabic alef is no Latin letter
"""What people say, by language. ``{n}``, ``{hour}`` and ``{price}`` are filled in when said."""

from msgspec import Struct

from wagateway.simulator.world import Language


class Phrases(Struct, frozen=True, kw_only=True):
    """The sayings of one language.

    Attributes:
        orders, answers, replies: a customer asks, the bakery answers, the customer ends it.
        typos: what was written, and what was meant.
        regrets: what is deleted again.
        captions: under a picture.
        hellos: of somebody who never wrote before.
        introductions: the same, from then on known by phone.
        lines: said in groups; ``{who}`` is a mention.
        goods: what an inventory lists.
        polls: a question and its options.
        stories: status posts.
    """

    orders: tuple[str, ...]
    answers: tuple[str, ...]
    replies: tuple[str, ...]
    typos: tuple[tuple[str, str], ...]
    regrets: tuple[str, ...]
    captions: tuple[str, ...]
    hellos: tuple[str, ...]
    introductions: tuple[str, ...]
    lines: tuple[str, ...]
    goods: tuple[str, ...]
    polls: tuple[tuple[str, tuple[str, ...]], ...]
    stories: tuple[str, ...]


_PORTUGUESE = Phrases(
    orders=(
        "Bom dia! ☀️\nAinda dá tempo de reservar {n} pães na chapa para as {hour}h?",
        "oi, tudo bem? quanto está o bolo de milho inteiro?",
        "Boa tarde! Preciso de {n} coxinhas para sábado.\nRetiro aí na loja.",
        "Vocês fazem broa sem lactose? É pra minha mãe 🙏",
        "Opa! Separa {n} sonhos de creme pra mim, por favor 😋",
    ),
    answers=(
        "Oi! Reservado ✅ Fica R$ {price},00. Pode vir a partir das {hour}h.",
        "Temos sim! Acabou de sair do forno 🔥",
        "Anotado: {n} unidades para as {hour}h. Algo mais?",
        "Hoje já acabou 😕 mas amanhã às {hour}h tem de novo.",
    ),
    replies=(
        "Perfeito, muito obrigada! 💛",
        "Show! Passo aí às {hour}h",
        "Aceita pix?",
        "kkkk ótimo, já estou a caminho 🛵",
    ),
    typos=(
        ("Então são {n} empadas de plamito", "Então são {n} empadas de palmito"),
        ("pode ser as {hour}h da noite", "pode ser às {hour}h da manhã, desculpa!"),
    ),
    regrets=("Ops, mensagem errada 🙈", "amor, compra leite na volta ❤️"),
    captions=(
        "Olha a fornada de hoje 🥖",
        "Comprovante do pix, R$ {price},00",
        "Dá pra fazer um igual a este?\nCom {n} velinhas em cima 🎂",
    ),
    hellos=("Olá, peguei o contato no Instagram. Vocês entregam no Butantã?",),
    introductions=("Oi, sou eu de novo! Agora por este número 😄",),
    lines=(
        "Pessoal, amanhã abrimos às {hour}h ⏰",
        "{who} consegue cobrir o balcão na quinta?",
        "A farinha atrasou de novo… chega só às {hour}h",
        "Bom dia grupo! ☕",
        "{who} o forno {n} está apitando, dá uma olhada?",
        "Fechado 👊",
        "Alguém viu a chave do estoque?",
    ),
    goods=("farinha", "fermento", "manteiga", "açúcar", "ovos (dúzia)", "leite", "goiabada"),
    polls=(
        ("Qual bolo entra no cardápio de sexta?", ("Fubá 🌽", "Laranja 🍊", "Formigueiro")),
        ("Confraternização: que dia fica melhor?", ("Sábado", "Domingo", "Segunda à noite")),
    ),
    stories=("Hoje tem pão de batata-doce! 🍠", "Fechamos mais cedo no feriado, até {hour}h ❗"),
)

_ENGLISH = Phrases(
    orders=(
        "Hi there! Could I get {n} sourdough loaves for {hour} o'clock?",
        "Good morning 🌞 do you do gluten-free?\nAsking for a friend (really).",
        "Hey, what's the price for a birthday cake for {n} people?",
    ),
    answers=(
        "Hi! All set ✅ that's R$ {price}.00, ready from {hour}:00.",
        "Sure thing! {n} pieces, put aside for you 🧺",
        "Sorry, sold out today, but there will be more tomorrow at {hour}:00.",
    ),
    replies=("Amazing, thank you so much! 🙌", "Great, see you at {hour}", "You're the best 😍"),
    typos=(
        ("Make that {n} baggets please", "Make that {n} baguettes please"),
        ("I'll be there at {hour}pm", "I'll be there at {hour}am, sorry!"),
    ),
    regrets=("Wrong chat, sorry 🙈", "Can you pick up the kids at five?"),
    captions=("Is this the one with walnuts? 🤔", "Receipt attached, R$ {price}.00"),
    hellos=("Hello! A neighbour gave me this contact. Are you open on Sunday?",),
    introductions=("Hi, it's me again, from my usual number 😊",),
    lines=(
        "Who's in for Sunday at {hour}? 🥐",
        "{who} you still owe me a coffee ☕😄",
        "Running {n} minutes late, order without me!",
        "That carrot cake was unreal",
    ),
    goods=("flour", "butter", "yeast", "eggs (dozen)", "milk", "sugar"),
    polls=(("Where do we meet on Sunday?", ("Bakery", "Park 🌳", "Hannah's place")),),
    stories=("Best croissants in town 🥐 change my mind", "Sunday mood ☕📖"),
)

_SPANISH = Phrases(
    orders=(
        "¡Buenas! ¿Me guardan {n} medialunas para las {hour}?",
        "Hola, ¿hacen envíos? Son {n} docenas de empanadas 🥟",
    ),
    answers=(
        "¡Hola! Listo ✅ son R$ {price},00, desde las {hour}h.",
        "¡Claro que sí! {n} apartadas a tu nombre 🙌",
    ),
    replies=("¡Mil gracias! 🙏", "Buenísimo, paso a las {hour}", "Dale, nos vemos 👋"),
    typos=(("Seran {n} cajas", "Serán {n} cajas, no bolsas"),),
    regrets=("Perdón, no era para este chat 😅",),
    captions=("Así llegó el pedido 📦", "Factura de R$ {price},00"),
    hellos=("Hola, soy del mercado de al lado. ¿Abren los lunes?",),
    introductions=("Hola, otra vez yo, desde mi número 😄",),
    lines=(
        "La harina sale mañana a las {hour}h 🚚",
        "{who} ¿confirmas las {n} bolsas?",
        "Perfecto, quedamos así 👌",
        "Ojo, el lunes es feriado",
    ),
    goods=("harina", "levadura", "azúcar", "huevos (docena)", "dulce de leche"),
    polls=(("¿Qué día entregamos?", ("Martes", "Miércoles", "Jueves")),),
    stories=("¡Nuevo horno! 🔥", "Vuelvo a las {hour}h"),
)

_ARABIC = Phrases(
    orders=(
        "صباح الخير! 🌹 أريد {n} أرغفة لو سمحتم، الساعة {hour}",
        "مرحباً، هل عندكم كعك بدون سكر؟\nلوالدتي 🙏",
    ),
    answers=("أهلاً! تم الحجز ✅ السعر R$ {price},00", "نعم موجود، {n} قطع جاهزة الساعة {hour} 🥖"),
    replies=("شكراً جزيلاً 💐", "ممتاز، سأمرّ الساعة {hour} إن شاء الله", "تسلم إيديكم 😋"),
    typos=(("أريد {n} قطعه من البقلاوه", "أريد {n} قطعة من البقلاوة"),),
    regrets=("عفواً، رسالة بالخطأ 🙈",),
    captions=("هل يمكن مثل هذه الكعكة؟ 🎂 (الطلب #{price})", "إيصال الدفع"),
    hellos=("مرحباً، أخذت الرقم من صديق. هل توصلون إلى Pinheiros؟ 🛵",),
    introductions=("مرحباً، أنا مرة أخرى من رقمي المعتاد 😄",),
    lines=("صباح الخير جميعاً ☕", "{who} متى نلتقي يوم الأحد؟", "الساعة {hour} تناسبني 👍"),
    goods=("طحين", "زبدة", "خميرة", "بيض", "حليب"),
    polls=(("متى نلتقي؟", ("الجمعة", "السبت", "الأحد 🌞")),),
    stories=("فطور يوم الأحد 🥐", "يوم سعيد للجميع 🌷"),
)

PHRASES = {
    Language.PORTUGUESE: _PORTUGUESE,
    Language.ENGLISH: _ENGLISH,
    Language.SPANISH: _SPANISH,
    Language.ARABIC: _ARABIC,
}

EMOJI = ("👍", "❤️", "😂", "😮", "🙏", "🎉", "👏", "🥐", "👍🏽")

NEWS = (
    ("📢 Preço do trigo cai {n}% nesta safra: https://example.com/trigo", "Trigo em queda"),
    ("Curso aberto: fermentação natural em {n} aulas 👩🏽‍🍳 https://example.com/curso", "Levain"),
)

PLACES = (
    ("Parque da Água Branca", "Av. Francisco Matarazzo, 455", -23.5275, -46.6702),
    ("Mercado Municipal", "R. da Cantareira, 306", -23.5417, -46.6293),
    ("Praça Benedito Calixto", "Pinheiros, São Paulo", -23.5583, -46.6811),
)
