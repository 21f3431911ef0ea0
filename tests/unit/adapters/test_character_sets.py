import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.charset import encode_string, python_encoding

from seriesgate.adapters.data_set.character_sets import decode_text

JAPANESE = b"\\ISO 2022 IR 87"
KOREAN = b"\\ISO 2022 IR 149"
CHINESE = b"\\ISO 2022 IR 58"

SINGLE_BYTE_TERMS = [
    term
    for term, codec in python_encoding.items()
    if codec not in {"iso2022_jp", "iso2022_jp_2", "euc_kr", "iso_ir_58", "UTF8"}
    and not codec.startswith("GB")
]


@pytest.mark.parametrize("term", SINGLE_BYTE_TERMS)
def test_every_character_of_a_single_byte_set_is_as_in_pydicom(term):
    ascii_bytes = bytes(range(0x20, 0x7F))
    assert decode_text(ascii_bytes, term.encode()) == ascii_bytes.decode()
    for byte in range(0xA1, 0x100):
        try:
            expected = bytes([byte]).decode(python_encoding[term])
        except UnicodeDecodeError:
            continue
        assert decode_text(bytes([byte]), term.encode()) == expected


@pytest.mark.parametrize(
    ("term", "codec", "text"),
    [
        ("ISO_IR 100", "latin_1", "Buc^Jérôme"),
        ("ISO_IR 101", "iso8859_2", "Dvořák^Antonín"),
        ("ISO_IR 109", "iso8859_3", "Ċetta^Ħal"),
        ("ISO_IR 110", "iso8859_4", "Bērziņš^Jānis"),
        ("ISO_IR 126", "iso8859_7", "Διονυσιος"),
        ("ISO_IR 127", "iso8859_6", "قباني^لنزار"),
        ("ISO_IR 138", "iso8859_8", "שרון^דבורה"),
        ("ISO_IR 144", "iso8859_5", "Люкс^Юлия"),
        ("ISO_IR 148", "iso8859_9", "Çavuşoğlu^Şule"),
        ("ISO_IR 166", "iso8859_11", "สมชาย"),
        ("ISO_IR 203", "iso8859_15", "Œuvre^Žofie €"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO_IR 192", "utf_8", "Wang^XiaoDong=王^小東= 😀"),
        ("GB18030", "gb18030", "Wang^XiaoDong=王^小东=㐀"),
        ("GBK", "gbk", "Wang^XiaoDong=王^小东"),
        ("ISO 2022 GBK", "gbk", "王^小东"),
        ("ISO 2022 58", "gb2312", "王^小东"),
        ("ISO 2022 IR 149", "euc_kr", "김^희중"),
    ],
)
def test_names_of_one_character_set_are_decoded(term, codec, text):
    assert decode_text(text.encode(codec), term.encode(), is_name=True) == text


@pytest.mark.parametrize(
    ("value", "character_set", "text"),
    [
        # The examples of PS3.5 annexes H, I and K.
        (
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            JAPANESE,
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J",
            b"ISO 2022 IR 13" + JAPANESE,
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ",
        ),
        (
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            KOREAN,
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            CHINESE,
            "Zhang^XiaoDong=张^小东=",
        ),
        # JIS X 0212 (ISO-IR 159), and G0 in two bytes beside half-width katakana in G1.
        (b"\x1b$(D0\x21\x1b(B!", b"ISO 2022 IR 6\\ISO 2022 IR 159", "丂!"),
        (b"\x1b$B;3\x1b-BA\xf8", JAPANESE + b"\\ISO 2022 IR 101", "山Ař"),
        (b"\x1b$B;3\xd4ED\x1b(J", b"ISO 2022 IR 13" + JAPANESE, "山ﾔ田"),
        # Bytes of a character that look like delimiters: '\', '^' and '='.
        (b"\x1b$B%\\%^%=\x1b(B", JAPANESE, "ボマソ"),
        (b"\x83\x5e\x83\x5c", b"ISO_IR 13", "タソ"),
    ],
)
def test_code_extensions_switch_within_a_name(value, character_set, text):
    assert decode_text(value, character_set, is_name=True) == text


@pytest.mark.parametrize(
    ("escape", "codec", "text"),
    [
        (b"-A", "latin_1", "é"),
        (b"-B", "iso8859_2", "ř"),
        (b"-C", "iso8859_3", "ħ"),
        (b"-D", "iso8859_4", "ņ"),
        (b"-F", "iso8859_7", "Δ"),
        (b"-G", "iso8859_6", "ق"),
        (b"-H", "iso8859_8", "ש"),
        (b"-L", "iso8859_5", "Л"),
        (b"-M", "iso8859_9", "ğ"),
        (b"-T", "iso8859_11", "ส"),
        (b"-b", "iso8859_15", "€"),
        (b")I", "shift_jis", "ﾔ"),
        (b"$)C", "euc_kr", "홍"),
        (b"$)A", "gb2312", "张"),
    ],
)
def test_escape_sequence_lasts_until_a_delimiter(escape, codec, text):
    high = text.encode(codec)
    value = b"a\x1b" + escape + high + b"b" + high + b"%b\xe9"
    for delimiter in (b"\\", b"\t", b"\n", b"\f", b"\r"):
        decoded = decode_text(value.replace(b"%", delimiter), b"ISO 2022 IR 100")
        assert decoded == f"a{text}b{text}{delimiter.decode()}bé"


@pytest.mark.parametrize("delimiter", ["^", "="])
def test_name_delimiters_end_an_escape_sequence_in_names_only(delimiter):
    value = b"\x1b-L\xbb" + delimiter.encode() + b"\xbb"
    assert decode_text(value, b"ISO 2022 IR 100", is_name=True) == f"Л{delimiter}»"
    assert decode_text(value, b"ISO 2022 IR 100") == f"Л{delimiter}Л"
    again_ascii = value.replace(delimiter.encode(), delimiter.encode() + b"\x1b(B")
    assert decode_text(again_ascii, b"ISO 2022 IR 100", is_name=True) == f"Л{delimiter}»"


ALPHABETS = {
    "ISO 2022 IR 101": "řžěď",
    "ISO 2022 IR 126": "Διον",
    "ISO 2022 IR 144": "Люкб",
    "ISO 2022 IR 87": "山田太郎やま",
    "ISO 2022 IR 149": "홍길동洪",
    "ISO 2022 IR 13": "ﾔﾏﾀﾞ",
}


name_components = st.sampled_from(sorted(ALPHABETS)).flatmap(
    lambda term: st.tuples(
        st.just(term), st.text("AZ az" + ALPHABETS[term], min_size=1, max_size=6)
    )
)


@settings(deadline=None)
@given(st.lists(name_components, max_size=4))
def test_what_pydicom_encodes_with_code_extensions_is_decoded(components):
    terms = ["", *dict.fromkeys(term for term, _ in components)]
    encodings = [python_encoding[term] for term in terms]
    value = b"^".join(encode_string(text, encodings) for _, text in components)
    name = "^".join(text for _, text in components)
    assert decode_text(value, "\\".join(terms).encode(), is_name=True) == name


@pytest.mark.parametrize(
    "term",
    ["ISO IR 144", "ISO-IR 144", "ISO_IR_144", "iso_ir 144", "ISO_IR144", "ISO 2022-IR 144"],
)
def test_misspelt_terms_are_understood(term):
    assert decode_text("Люк".encode("iso8859_5"), term.encode() + b" ") == "Люк"


@pytest.mark.parametrize("term", ["", "ISO_IR 6", "ISO 2022 IR 6", "UTF-8", "rot13", "nonsense"])
def test_bytes_of_no_known_set_are_utf_8_or_else_western(term):
    assert decode_text("Jérôme 王".encode(), term.encode()) == "Jérôme 王"
    assert decode_text("Jérôme".encode("latin_1"), term.encode()) == "Jérôme"


@pytest.mark.parametrize(
    ("value", "character_set", "text"),
    [
        (b"J\xe9r\xf4me", b"ISO_IR 192", "Jérôme"),
        ("ありが".encode()[:-1], b"ISO_IR 192", "あり\ufffd"),
        ("Müller^Jürgen".encode(), b"ISO_IR 100", "Müller^Jürgen"),
        ("Kovács^Őrs".encode(), b"ISO_IR 101", "Kovács^Őrs"),
        ("Иван".encode(), b"ISO_IR 144", "Иван"),
        ("山田".encode("cp932"), b"ISO_IR 13", "山田"),
        ("Müller".encode(), b"\\ISO 2022 IR 100", "Müller"),
        (b"\xff", b"ISO_IR 127", "\ufffd"),
        (b"\x81", b"GB18030", "\ufffd"),
        (b"\x81", b"ISO_IR 100", "\ufffd"),
        (b"it\x92s", b"ISO_IR 100", "it\u2019s"),
        (b"\x1b$B;3\x7f\x7f", JAPANESE, "山\ufffd"),
        (b"\xc8\xab", KOREAN, "홍"),
        (b"\x1b(Ix", b"", "\x1b(Ix"),
        (b"\x1b$B;3", b"ISO_IR 192", "\x1b$B;3"),
    ],
)
def test_bytes_that_do_not_fit_give_the_best_text_there_is(value, character_set, text):
    assert decode_text(value, character_set) == text


terms = st.lists(
    st.sampled_from([term.encode() for term in python_encoding]) | st.binary(max_size=12),
    max_size=3,
).map(b"\\".join)
pieces = st.lists(
    st.sampled_from(
        [b"\x1b$B", b"\x1b$(D", b"\x1b(B", b"\x1b$)C", b"\x1b$)A", b"\x1b-L", b"^", b"=", b"\\"]
    )
    | st.binary(max_size=8),
).map(b"".join)


@settings(deadline=None, max_examples=500)
@given(pieces, terms, st.booleans())
def test_any_bytes_become_text_that_utf_8_can_hold(value, character_set, is_name):
    decode_text(value, character_set, is_name=is_name).encode("utf_8")
