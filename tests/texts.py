"""Texts as people write them, and signs that no text has."""

REAL = [
    "Alerte incendie\u00a0!",
    "«\u202f12\u202f000\u202f€\u202f»",
    "東京\u3000本社",
    "\u3000先頭",
    "می\u200cخواهم",  # Persian, with a ZWNJ
    "ශ්\u200dරී ලංකා",  # Sinhala, with a ZWJ
    "नमस्ते क्\u200dष",
    "👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d🚒 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤\ufe0f 1\ufe0f\u20e3",
    "new emoji: \U0001fae9 \U0001facd \U0001faea",
    "a sign that no table knows yet: \U0003fffd \U0001fc00",
    "עברית (1)\u200f",
    "\u200eC++\u200e كتاب\u061c",
    "ไทย\u200bไทย",
    "cafe\u0301 café",  # the same to the eye, and not to us
    "Straße ẞ İı Ǆ",
    "soft\u00adhyphen \ufeffmark",
    "\ue000 private",
    "{\\b1} <b>&amp; [red]x[/] %22 \"'` ${x}",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
]
DIRECTIONS = list("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
REFUSED = [
    *"\x00\x01\x07\x08\t\n\r\x0b\x0c\x1b\x1f\x7f\x80\x85\x9b\x9f\u2028\u2029",
    *DIRECTIONS,
    *"\ud800\udfff\ufdd0\ufdef\ufffe\uffff\U0001fffe\U0010ffff",
]
UNSEEN = list(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2064\u206f\u2800\u3164\ufe0f\ufeff"
    "\uffa0\U0001d159\U0001d173\U000e0001\U000e0020\U000e007f\U000e0100"
)
