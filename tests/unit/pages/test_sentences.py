"""A page's answer in words."""

from __future__ import annotations

from services.query.pages.figures import Item, Sums
from services.query.pages.sentences import Sentence, overview_sentence, payroll_sentence
from tests.unit.pages.sample import USD, budget, overview, payroll, spent


def read(sentence: Sentence) -> str:
    return "".join(words.text for words in sentence).replace("\u202f", " ")


def test_the_overview_says_how_much_more_and_what_explains_it() -> None:
    assert read(overview_sentence(overview())) == (
        "acme-corp spent $30.00 in seven days, 50.0 % more than the seven before. "
        "chat explains $9.00 of the $10.00: its prompts grew from 900 to 1,710 tokens."
    )


def test_more_spend_is_amber_and_less_is_a_relief() -> None:
    tones = {words.tone for words in overview_sentence(overview())}
    assert "alarm" in tones
    fewer = overview(before=spent(60), features=(Item("chat", spent(10, 5), spent(40, 20)),))
    assert read(overview_sentence(fewer)) == (
        "acme-corp spent $30.00 in seven days, 50.0 % less than the seven before. "
        "chat alone fell by $30.00: its calls fell from 20 to 5."
    )
    assert "relief" in {words.tone for words in overview_sentence(fewer)}


def test_a_wobble_is_no_change() -> None:
    assert read(overview_sentence(overview(before=spent(29)))) == (
        "acme-corp spent $30.00 in seven days, about as much as the seven before."
    )


def test_without_a_period_before_there_is_nothing_to_compare() -> None:
    assert read(overview_sentence(overview(before=None))) == "acme-corp spent $30.00 in seven days, by 30 calls."
    assert (
        read(overview_sentence(overview(before=Sums()))) == "acme-corp spent $30.00 in seven days; nothing came before."
    )


def test_a_multiple_is_told_as_one() -> None:
    said = read(overview_sentence(overview(before=Sums(cost_pico_usd=USD, calls=1), features=())))
    assert said == "acme-corp spent $30.00 in seven days, 30 × as much as the seven before."


def test_no_cause_is_named_when_none_stands_out() -> None:
    many = tuple(Item(f"f{i}", spent(2), spent(1)) for i in range(10))
    assert read(overview_sentence(overview(features=many))).endswith("No single feature explains it.")


def test_calls_without_a_price_are_no_spend_of_nothing() -> None:
    unpriced = Sums(calls=4, unpriced_events=4)
    assert read(overview_sentence(overview(total=unpriced))) == (
        "acme-corp spent $0.00 in seven days: none of its calls has a price yet."
    )


def test_payroll_names_who_is_over_and_who_will_be() -> None:
    said = read(payroll_sentence(payroll(budget("dexter", 30, 40), budget("cassie", 24, 21))))
    assert said == (
        "acme-corp’s two agents cost $60.00 in seven days. Dexter is over its budget; Cassie runs out on 25 November."
    )


def test_payroll_says_when_all_budgets_hold() -> None:
    assert read(payroll_sentence(payroll(budget("dexter", 100, 40)))).endswith("in seven days. All budgets hold.")
    assert read(payroll_sentence(payroll())).endswith("in seven days.")
