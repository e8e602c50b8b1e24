"""What the program says is plain English in short sentences, in every package and of every kind."""

from __future__ import annotations

from functools import cache

from tests.support.messages import ROOT, Message, messages, messages_of, sentences

MOST_WORDS = 25  # of any sentence: a message is read by somebody in trouble
AVERAGE = 12.0
#: words of code, of other languages, or of nobody's mouth
NOT_PLAIN = ("e.g.", "i.e.", "etc.", "utilize", "leverage", "respectively", "aforementioned")


@cache
def every() -> list[Message]:
    return messages()


def test_there_are_many_of_every_kind() -> None:
    """The collector sees refusals, reasons of plans, keys, helps and what commands print."""
    assert len(every()) > 700
    texts = {message.text for message in every()}
    for part in (
        "positions are those that the window means",  # a raise
        "the corrections led away from focus",  # a reason of a plan
        "no move ends below it",  # a key
        "is not offered: nothing here",  # an epilog
        "the stage does not move the objective",  # a refusal in parts
    ):
        assert any(part in text for text in texts), part


def test_no_sentence_is_long() -> None:
    long = [
        f"{message.place}: {len(words)} words: {' '.join(words)}"
        for message in every()
        for words in sentences(message.text)
        if len(words) > MOST_WORDS
    ]
    assert long == []


def test_sentences_are_short_on_average() -> None:
    lengths = [len(words) for message in every() for words in sentences(message.text)]
    assert sum(lengths) <= AVERAGE * len(lengths), sum(lengths) / len(lengths)


def test_words_are_plain() -> None:
    assert [m for m in every() if any(word in m.text.lower().split() for word in NOT_PLAIN)] == []


def test_a_message_is_read_as_it_would_be_told() -> None:
    module = ROOT / "tests" / "support" / "messages.py"
    assert all(message.place.startswith("tests/support/") for message in messages_of(module))
    assert sentences("a b; c d. e: f") == [["a", "b;"], ["c", "d."], ["e:", "f"]]
