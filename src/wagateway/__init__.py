"""The durable WhatsApp archive and gateway beside WAHA."""
