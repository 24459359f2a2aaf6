"""The month in Polars: lazy frames all the way, run by the streaming engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
import polars.selectors as cs

from expectations.month import Month
from tests.benchmarks.peers import city
from tests.benchmarks.peers.points_in_polars import points

WORD, WORDS = 64, 6  # months as bits of unsigned integers: 32 years
FULL_WORD = pl.lit(2**WORD - 1, pl.UInt64)


class Extracts:
    """The clean rows of a month as lazy frames, with the conditions that its facts share."""

    def __init__(self, root: Path, month: Month) -> None:
        self.root, self.month, self.as_of = root, month, pl.lit(month.last_day)

    def scan(self, source: str, person: str = "resident_id") -> pl.LazyFrame:
        files = city.clean_files(self.root, source, self.month)
        return pl.scan_parquet(files, hive_partitioning=False).rename({person: "person"})

    def events(self, source: str, key: str) -> pl.LazyFrame:
        """Of a key received more than once the last row, unless it takes the record back."""
        return (
            self.scan(source)
            .unique(key, keep="last", maintain_order=True)
            .filter(pl.col("status") == "valid")
        )

    def current(self, begins: str, ends: str) -> pl.Expr:
        return (pl.col(begins) <= self.as_of) & (
            pl.col(ends).is_null() | (pl.col(ends) >= self.as_of)
        )

    def within(self, day: str, months: int) -> pl.Expr:
        return (pl.col(day) > (self.month - months).last_day) & (pl.col(day) <= self.as_of)

    def months_since(self, day: str) -> pl.Expr:
        passed = self.month.ordinal + 1 - pl.col(day).dt.year() * 12 - pl.col(day).dt.month()
        return passed.fill_null(0).cast(pl.Int32)


def ladder(levels: Iterable[str], column: str = "level") -> pl.Expr:
    """A level as a step of a ladder, so that the highest is the maximum; null when it stands on another one."""
    return pl.col(column).cast(pl.Enum(levels), strict=False)


def residents(x: Extracts) -> pl.LazyFrame:
    birth = pl.col("person") // 1000 % 100_000_000
    lived = x.month.ordinal + 1 - birth // 10000 * 12 - birth // 100 % 100
    held = (
        (pl.col("permit_issued_on") <= x.as_of) & (pl.col("permit_valid_to") >= x.as_of)
    ).fill_null(False)
    people = x.scan("registry").filter(pl.col("status") == "resident")
    return people.select(
        "person",
        age=(lived // 12).cast(pl.Int32),
        residence_months=x.months_since("registered_on"),
        permit_held=held,
        permit_months=pl.when(held).then(x.months_since("permit_issued_on")).otherwise(0),
    )


def month_words(rows: pl.LazyFrame, now: int) -> pl.LazyFrame:
    """One row per person, insurance and word: months as bits, counted back from the month scored."""
    back = now - pl.col("month")
    bit = pl.lit(2, pl.UInt64).pow(back % WORD)
    words = rows.select("person", "pension", word=(back // WORD).cast(pl.Int8), bits=bit)
    return words.group_by("person", "pension", "word").agg(pl.col("bits").bitwise_or())


def undone(postings: pl.LazyFrame) -> pl.LazyFrame:
    """The months that no employer's newest posting holds; on a tie the reversal wins.

    Collected on the way: in one plan with the payments the shared scan would keep all postings in memory.
    """
    case = ["person", "pension", "month"]
    reversed_ = postings.filter(~pl.col("paid")).select(case).unique().collect(engine="streaming")
    on = pl.col("posted_on")
    by_employer = (
        postings.join(reversed_.lazy(), on=case, how="semi")
        .group_by(*case, "employer_id")
        .agg(
            paid_on=pl.when("paid").then(on).max(),
            reversed_on=pl.when(~pl.col("paid")).then(on).max(),
        )
    )
    held = (pl.col("paid_on") > pl.col("reversed_on")).fill_null(pl.col("reversed_on").is_null())
    standing = by_employer.group_by(case).agg(stands=held.any())
    return standing.filter(~pl.col("stands")).collect(engine="streaming").lazy()


def insured(x: Extracts) -> pl.LazyFrame:
    """Months with a payment, but for those undone."""
    now = x.month.ordinal
    counted = pl.col("insurance").is_in(["pension", "medical"]) & (pl.col("month") <= now)
    columns = ["person", "month", "employer_id", "posted_on"]
    pension, paid = pl.col("insurance") == "pension", pl.col("kind") == "paid"
    postings = (
        x.scan("social_security").filter(counted).select(*columns, pension=pension, paid=paid)
    )
    words = month_words(postings.filter("paid"), now).join(
        month_words(undone(postings), now),
        on=["person", "pension", "word"],
        how="left",
        suffix="_undone",
    )
    standing = words.with_columns(bits=pl.col("bits") & ~pl.col("bits_undone").fill_null(0))
    pension, months = pl.col("pension"), pl.col("bits").bitwise_count_ones().cast(pl.Int32)
    by_person = standing.group_by("person").agg(
        pension_months=pl.when(pension).then(months).otherwise(0).sum(),
        medical_months=pl.when(pension).then(0).otherwise(months).sum(),
        **{
            f"word_{k}": pl.when(pension & (pl.col("word") == k)).then("bits").otherwise(0).sum()
            for k in range(WORDS)
        },
    )
    with_gap = by_person.with_columns(
        pension_gap_months=pl.coalesce(
            pl.when(pl.col(f"word_{k}") != 0).then(
                k * WORD + pl.col(f"word_{k}").bitwise_trailing_zeros()
            )
            for k in range(WORDS)
        ).cast(pl.Int32)
    )
    last = now - pl.col("pension_gap_months")
    return with_gap.select(
        "person", "pension_months", "medical_months", "pension_gap_months",
        pension_last_month=pl.date(last // 12, last % 12 + 1, 1),
        pension_run_months=(unbroken() - pl.col("pension_gap_months")).cast(pl.Int32),
    )  # fmt: skip


def unbroken() -> pl.Expr:
    """How many months back a person's bits reach without a break, the gap at the newest end taken as filled."""
    gap, reach = pl.col("pension_gap_months"), pl.lit(0, pl.UInt32)
    for k in reversed(range(WORDS)):
        word = pl.col(f"word_{k}")
        filled = (
            pl.when(gap >= WORD * (k + 1))
            .then(FULL_WORD)
            .when(gap >= WORD * k)
            .then(word | (word - 1))
            .otherwise(word)
        )
        ones = filled.bitwise_trailing_ones()
        reach = ones + pl.when(ones == WORD).then(reach).otherwise(0)
    return reach


def education(x: Extracts) -> pl.LazyFrame:
    skill = pl.col("level").replace(city.TITLES)
    degree = pl.when(pl.col("kind") == "degree").then(ladder(city.DEGREES))
    steps = x.scan("education").select(
        "person", degree=degree, skill=skill.cast(pl.Enum(city.SKILLS), strict=False)
    )
    return steps.group_by("person").agg(pl.col("degree", "skill").max())


def housing(x: Extracts) -> pl.LazyFrame:
    homes = x.scan("housing").filter(x.current("from_on", "to_on"))
    rentals = homes.filter(pl.col("tenure").is_in(city.RENTALS)).sort("from_on", "record_id")
    newest = rentals.unique("person", keep="last", maintain_order=True).select(
        "person",
        rental_registered="registered",
        rental_months=x.months_since("from_on"),
        rental_district="district",
    )
    best = (
        homes.select("person", tenure=ladder(city.TENURES, "tenure"))
        .group_by("person")
        .agg(pl.col("tenure").max())
    )
    return best.with_columns(owns_home=pl.col("tenure") == "owned").join(
        newest, on="person", how="left"
    )


def employment(x: Extracts) -> pl.LazyFrame:
    contracts = x.scan("employment").filter(x.current("started_on", "ended_on"))
    listed = city.shortage_occupations(x.month.first_day.year)
    return contracts.group_by("person").agg(
        employed_months=x.months_since("started_on").max(),
        shortage_job=pl.col("occupation").is_in(listed).any(),
        jobs_created=pl.col("jobs_created").sum(),
    )


def volunteer(x: Extracts) -> pl.LazyFrame:
    """Hours and millilitres in hundredths: whole numbers add up exactly."""
    quantity, service = (pl.col("quantity") * 100).cast(pl.Int64), pl.col("kind") == "service"
    year, counted = pl.col("on_date").dt.year(), service & (pl.col("on_date") <= x.as_of)
    blood = (
        pl.when(pl.col("kind") == "blood")
        .then(quantity)
        .when(pl.col("kind") == "platelets")
        .then(quantity * 200)
    )
    return (
        x.events("volunteer", "event_id")
        .group_by("person")
        .agg(
            service_hours_24m=pl.when(service & x.within("on_date", 24)).then(quantity).sum() / 100,
            blood_ml=blood.sum() / 100,
            donations=pl.col("kind").is_in(["marrow", "organ"]).sum(),
            **{
                f"hours_{y}": pl.when(counted & (year == y)).then(quantity).sum() / 100
                for y in city.last_years(x.month)
            },
        )
    )


def credit(x: Extracts) -> pl.LazyFrame:
    kind, level, recent = pl.col("kind"), pl.col("level"), x.within("on_date", 60)
    honour = (kind == "honour") & recent
    cleared = pl.col("cleared_on") <= x.as_of
    open_ = (kind == "dishonesty") & (pl.col("on_date") <= x.as_of) & ~cleared.fill_null(False)
    return (
        x.events("credit", "event_id")
        .with_columns(step=ladder(city.HONOURS))
        .group_by("person")
        .agg(
            pl.when(honour).then("step").max().alias("honour_level"),
            penalties_24m=((kind == "penalty") & x.within("on_date", 24)).sum(),
            detentions_60m=((kind == "detention") & recent).sum(),
            crimes_120m=((kind == "crime") & x.within("on_date", 120)).sum(),
            **{f"honours_{name}": (honour & (level == name)).sum() for name in city.HONOURS},
            **{
                f"dishonesty_{name}": (open_ & (level == name)).sum()
                for name in ("general", "serious")
            },
        )
    )


def patents(x: Extracts) -> pl.LazyFrame:
    kinds = ("invention", "utility_model", "design")
    counts = {f"patents_{kind}": (pl.col("kind") == kind).sum() for kind in kinds}
    return x.events("patents", "patent_no").group_by("person").agg(**counts)


def children(x: Extracts) -> pl.LazyFrame:
    birth, enrolled = pl.col("child_id") // 1000 % 100_000_000, pl.col("enrolled")
    starting = enrolled.is_in(["none", "kindergarten"]) & birth.is_between(
        *city.school_birthdays(x.month, 6)
    )
    moving = (enrolled == "primary") & birth.is_between(*city.school_birthdays(x.month, 12))
    due = {"children_due_primary": starting.sum(), "children_due_junior_middle": moving.sum()}
    return x.scan("children", "guardian_id").group_by("person").agg(**due)


def awards(x: Extracts) -> pl.LazyFrame:
    """Points per person and `district:indicator`, of the awards within their grantor's quota of the year."""
    quotas = pl.scan_csv(city.REFERENCE / "award_quotas.csv").rename({"points": "quota"})
    limited, year = pl.col("grantor_kind") != "district", pl.col("on_date").dt.year()
    running = pl.when(limited).then("points").otherwise(0).cum_sum().over("grantor_id", "year")
    within_quota = ~limited | (pl.col("running") <= pl.col("quota").fill_null(0))
    return (
        x.events("local_awards", "award_id")
        .sort("on_date", "award_id")
        .with_columns(year=year.cast(pl.Int64))
        .with_columns(running=running)
        .join(quotas, on=["grantor_id", "year"], how="left")
        .filter(within_quota & x.within("on_date", 24))
        .group_by("person", key=pl.format("{}:{}", "district", "indicator"))
        .agg(pl.col("points").sum())
    )


def facts(x: Extracts) -> pl.LazyFrame:
    """One row per resident."""
    everyone = residents(x)
    for known in (insured, education, housing, employment, volunteer, credit, patents, children):
        everyone = everyone.join(known(x), on="person", how="left")
    return (
        everyone.with_columns(cs.enum().cast(pl.String))
        .with_columns(
            (cs.numeric() - cs.by_name("pension_gap_months")).fill_null(0),
            cs.boolean().fill_null(False),
            pl.col("tenure").fill_null("none"),
        )
        .with_columns(
            insured_now=(pl.col("pension_gap_months") <= 1).fill_null(False),
            frozen=(pl.col("dishonesty_serious") > 0) | (pl.col("crimes_120m") > 0),
        )
    )


def main() -> None:
    root, month, target = city.arguments()
    extracts = Extracts(root, month)
    facts(extracts).sink_parquet(target / "facts.parquet", engine="streaming")
    awards(extracts).sink_parquet(target / "awards.parquet", engine="streaming")
    known = pl.scan_parquet(target / "facts.parquet")
    points(known, month).sink_parquet(target / "scores.parquet", engine="streaming")


if __name__ == "__main__":
    main()
