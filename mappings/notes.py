"""What rule files may say, and what is hardly meant: printed by `flask rules check`.

Unreachable and overlapping rules, people without a rate, rules without a test, tests that pass
for another reason than they seem to, shared files that nobody extends. A note is no mistake:
the rules can be activated.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Final

from . import trials
from .book import Book
from .contract import Bill, Customer, Example, Rule
from .matching import Seen, Test, compiled
from .model import Condition, Person, TextCondition
from .people import People
from .phrases import TIME_KINDS
from .pricing import Held, Nothing, Priced
from .reading import Mistakes, Place, quoted
from .reasoning import Scene, can_both_fit, fits, lies_within, scene_of
from .sharing import Blame

MOST_PAIRS: Final = 300_000
"""How many pairs of a customer's rules are compared."""
MOST_HOURS: Final = 5_000
"""How many hours of people are priced for one customer, to see whether each has a rate."""
_FILED: Final = ("project", "item", "title", "source", "endpoint", "event")
"""Keys of which an event has one value: rules that name different ones never meet."""


def notes_of(book: Book) -> list[str]:
    """Return the notes on all files, one line each: `file:line:column: where: what - what to do`.

    Pure: the same files give the same notes.
    """
    notes = Mistakes()
    blame = Blame(Mistakes())
    tested: set[Place] = set()
    for customer in book.customers.values():
        found = Mistakes()
        tested |= _Look(book, customer, found).all()
        blame.sort(found, customer.at.file, customer.key, notes)
    blame.tell(notes)
    rules = {rule.at: rule for customer in book.customers.values() for rule in customer.rules}
    for at, rule in rules.items():
        if at not in tested:
            notes.inside(f"rule {quoted(rule.name)}").add(
                at, "no test tries it - add one to tests:"
            )
    for name, table in book.joined()[0].unused():
        problem = f"no customer extends {quoted(name)} - name it under extends:, or delete the file"
        notes.inside("shared").add(table.at, problem)
    return notes.lines()


class _Look:
    """Looks at one customer's rules and tests."""

    def __init__(self, book: Book, customer: Customer, notes: Mistakes) -> None:
        self._book = book
        self._customer = customer
        self._people = book.workspace.people
        self._notes = notes
        self._conditions = [(*customer.takes, *rule.when) for rule in customer.rules]
        self._tests: list[list[Test]] = [
            [compiled(condition) for condition in conditions] for conditions in self._conditions
        ]
        self._tried: set[tuple[int, int]] = set()
        """Pairs of rules that both fit the event of a test: somebody has thought of them."""

    def all(self) -> set[Place]:
        """Note everything; return which rules are tried by a test."""
        tested = self._look_at_tests()
        self._look_at_rules()
        self._look_at_hours()
        return tested

    def _look_at_tests(self) -> set[Place]:
        people = People(self._people)
        at_of = {rule.name: rule.at for rule in self._customer.rules}
        tested: set[Place] = set()
        given = [(test, each) for test in self._customer.tests for each in test.given]
        for test, each in given:
            event, person = trials.event_of(each, self._customer), people.named(each.person)
            seen = Seen(event, person, self._book.workspace.billable_when_not_said)
            fitting = [n for n, tests in enumerate(self._tests) if fits(tests, seen) is not False]
            self._tried |= {(one, other) for one in fitting for other in fitting if one < other}
            outcome = self._book.price_as(event, person)
            if isinstance(outcome, Priced | Nothing) and outcome.customer == self._customer.key:
                # A fee has no rule.
                tested |= {at_of[outcome.rule]} if outcome.rule in at_of else set()
            elif isinstance(outcome, Held) and outcome.customer == self._customer.key and fitting:
                tested.add(self._customer.rules[fitting[0]].at)
            inside = self._notes.inside(f"test {quoted(test.name)}")
            if isinstance(outcome, Held) and outcome.customer is None:
                told = outcome.reason.partition(" - ")[0]
                problem = f"its event is nobody's: {told}"
                inside.add(test.at, f"{problem} - name a project of takes: under given:")
            elif isinstance(outcome, Priced):
                self._look_at_choice(test, fitting, inside)
        return tested

    def _look_at_choice(self, test: Example, fitting: Sequence[int], notes: Mistakes) -> None:
        """Note a test that does not say which of several rules it means."""
        billing = [self._customer.rules[n] for n in fitting if self._customer.rules[n].bill]
        expected = test.expected
        if expected.is_invoiced:
            # It says what is printed, and cannot say which rule.
            return
        if expected.rule is None and expected.customer == self._customer.key:
            for other in billing[1:2]:
                first = f"rule {quoted(billing[0].name)} bills it"
                also = f"rule {quoted(other.name)} in {other.at.seen_from(test.at)} fits as well"
                notes.add(test.at, f"{first}, and {also} - say under expect: which rule is meant")

    def _look_at_rules(self) -> None:
        rules = self._customer.rules
        unreachable: set[int] = set()
        overlapping: set[int] = set()
        for position, rule in enumerate(rules):
            if missed := self._not_taken(rule):
                unreachable.add(position)
                problem = f"fits no {missed} that takes: gives to this customer"
                self._of(rule).add(rule.at, f"{problem} - change it, or take the rule out")
        pairs = _pairs([rule.when for rule in rules])
        for compared, (first, second) in enumerate(pairs):
            if compared == MOST_PAIRS:
                told = f"more than {MOST_PAIRS} pairs of rules, the others were not compared"
                self._notes.add(
                    self._customer.at, f"{told} - write fewer rules, with more patterns"
                )
                break
            if not unreachable.isdisjoint((first, second)):
                continue
            earlier, later = rules[first], rules[second]
            if lies_within(self._conditions[second], earlier.when):
                unreachable.add(second)
                where = earlier.at.seen_from(later.at)
                problem = f"is never used: rule {quoted(earlier.name)} in {where} fits first"
                self._of(later).add(later.at, f"{problem} - put it above that one, or take it out")
            elif (
                second not in overlapping
                and (first, second) not in self._tried
                and _bill_differently(earlier, later)
                and self._look_at_overlap(first, second)
            ):
                # One overlap of each rule is enough to look at.
                overlapping.add(second)

    def _look_at_overlap(self, first: int, second: int) -> bool:
        """Note two rules that fit one event; return whether they do."""
        earlier, later = self._customer.rules[first], self._customer.rules[second]
        if lies_within(self._conditions[first], later.when):
            # The special case stands above the general one, as it should.
            return False
        both = (*self._conditions[first], *later.when)
        scene = scene_of(both, self._people)
        if scene is None or not self._is_first(first, scene):
            return False
        where = earlier.at.seen_from(later.at)
        problem = f"overlaps with rule {quoted(earlier.name)} in {where}, which is used for"
        self._of(later).add(
            later.at,
            f"{problem} {scene.in_words()} - put the one above that should be used, and add such "
            "a test",
        )
        return True

    def _is_first(self, position: int, scene: Scene) -> bool:
        seen = Seen(scene.event, scene.person)
        return all(fits(tests, seen) is False for tests in self._tests[:position])

    def _not_taken(self, rule: Rule) -> str:
        """Return the word of `takes:` that none of a rule's patterns meets, "" if all are met."""
        for taken in self._customer.takes:
            for condition in rule.when:
                if (
                    isinstance(condition, TextCondition)
                    and condition.key == taken.key
                    and not can_both_fit(condition, taken)
                ):
                    return taken.key
        return ""

    def _look_at_hours(self) -> None:
        """Note people whose hours a rule would bill, and cannot."""
        days = self._days()
        noted: set[str] = set()
        asked = 0
        for position, rule in enumerate(self._customer.rules):
            if rule.bill is None or rule.bill.quantity != "hours":
                continue
            for person in self._people:
                if person.name in noted:
                    continue
                for day in days:
                    asked += 1
                    if asked > MOST_HOURS:
                        return
                    if reason := self._why_held(position, person, day):
                        noted.add(person.name)
                        hour = f"an hour of {person.name} on {day} would wait"
                        self._of(rule).add(rule.at, f"{hour}: {reason}")
                        break

    def _days(self) -> list[date]:
        """Return the days on which what an hour costs may change, the first one included."""
        return sorted({rate.from_on for rate in self._customer.rates.listed})

    def _why_held(self, position: int, person: Person, day: date) -> str:
        """Return why an hour of a person that a rule fits is held; "" if it is not."""
        for kind in TIME_KINDS:
            scene = scene_of(self._conditions[position], [person], on=day, kind=kind)
            if scene is None:
                continue
            # An hour of real work has an issue, which descriptions name.
            item, title = scene.event.item or "ITEM-1", scene.event.title or "Some work"
            scene = Scene(replace(scene.event, item=item, title=title), person)
            if not self._is_first(position, scene):
                continue
            outcome = self._book.price_as(scene.event, person)
            if isinstance(outcome, Held) and outcome.customer == self._customer.key:
                name = f"rule {quoted(self._customer.rules[position].name)}: "
                return outcome.reason.removeprefix(name)
        return ""

    def _of(self, rule: Rule) -> Mistakes:
        return self._notes.inside(f"rule {quoted(rule.name)}")


def _bill_differently(one: Rule, other: Rule) -> bool:
    """Return whether two rules make different lines, apart from their texts."""
    if one.bill is None or other.bill is None:
        return False
    said = [field.name for field in fields(Bill) if field.name != "description"]
    return any(getattr(one.bill, name) != getattr(other.bill, name) for name in said)


def _pairs(whens: Sequence[Sequence[Condition]]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of rules, earlier and later, that may fit the same event.

    Filed by the key that most of them name without a star: those that name other texts never
    meet, so ten thousand rules of ten thousand projects need no comparing.
    """
    named = [_named(when) for when in whens]
    counted = Counter(key for texts in named for key in texts)
    best = max(_FILED, key=lambda key: counted[key])
    drawers: dict[str, list[int]] = defaultdict(list)
    others: list[int] = []
    for position, texts in enumerate(named):
        near: Iterable[int] = range(position)
        if best in texts:
            near = sorted({*others, *(each for t in texts[best] for each in drawers[t])})
            for text in texts[best]:
                drawers[text].append(position)
        else:
            others.append(position)
        yield from ((earlier, position) for earlier in near)


def _named(when: Sequence[Condition]) -> dict[str, set[str]]:
    """Return the texts that a rule names, by key, where it names them without a star."""
    return {
        condition.key: {pattern.casefold() for pattern in condition.patterns}
        for condition in when
        if isinstance(condition, TextCondition)
        and condition.key in _FILED
        and not any("*" in pattern for pattern in condition.patterns)
    }
