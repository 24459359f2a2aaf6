"""The month in pandas: Arrow types, and the postings batch by batch into a table of months in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from expectations.month import Month
from tests.benchmarks.peers import city
from tests.benchmarks.peers.points_in_pandas import points

BATCH = 1_000_000
HISTORY = 32 * 12  # months
YES_NO = ["owns_home", "rental_registered", "shortage_job"]
NULLABLE = {
    *YES_NO, "tenure", "degree", "skill", "honour_level", "rental_district", "pension_gap_months", "pension_last_month",
}  # fmt: skip


class Extracts:
    """The clean rows of a month as data frames, with the conditions that its facts share."""

    def __init__(self, root: Path, month: Month) -> None:
        self.root, self.month, self.as_of = root, month, month.last_day

    def files(self, source: str) -> list[Path]:
        return city.clean_files(self.root, source, self.month)

    def read(self, source: str, columns: list[str], person: str = "resident_id") -> pd.DataFrame:
        parts = (
            pd.read_parquet(
                f, columns=[person, *columns], dtype_backend="pyarrow", partitioning=None
            )
            for f in self.files(source)
        )
        return pd.concat(parts, ignore_index=True).rename(columns={person: "person"})

    def events(self, source: str, key: str, columns: list[str]) -> pd.DataFrame:
        """Of a key received more than once the last row, unless it takes the record back."""
        rows = self.read(source, [key, "status", *columns]).drop_duplicates(key, keep="last")
        return rows[rows["status"] == "valid"]

    def current(self, rows: pd.DataFrame, begins: str, ends: str) -> pd.DataFrame:
        return rows[(rows[begins] <= self.as_of) & (rows[ends].isna() | (rows[ends] >= self.as_of))]

    def within(self, day: pd.Series, months: int) -> pd.Series:
        return (day > (self.month - months).last_day) & (day <= self.as_of)

    def months_since(self, day: pd.Series) -> pd.Series:
        return (self.month.ordinal + 1 - day.dt.year * 12 - day.dt.month).fillna(0)


def highest(levels: pd.Series, ladder: Sequence[str], person: pd.Series) -> pd.Series:
    """The highest level of each person; a level that stands on another ladder is none."""
    ranks = levels.map({level: rank for rank, level in enumerate(ladder)})
    return ranks.groupby(person).max().map(dict(enumerate(ladder)))


def birth_date(ids: pd.Series | pd.Index) -> np.ndarray:
    """YYYYMMDD; in NumPy, as Arrow types know no remainder."""
    return ids.to_numpy("int64") // 1000 % 100_000_000


def hundredths(quantity: pd.Series) -> pd.Series:
    """Decimals as whole numbers, which add up exactly."""
    return (quantity.astype("float64") * 100).round().astype("int64")


def residents(x: Extracts) -> pd.DataFrame:
    rows = x.read("registry", ["registered_on", "permit_issued_on", "permit_valid_to", "status"])
    rows = rows[rows["status"] == "resident"].set_index("person")
    birth = birth_date(rows.index)
    held = ((rows["permit_issued_on"] <= x.as_of) & (rows["permit_valid_to"] >= x.as_of)).fillna(
        False
    )
    return pd.DataFrame(
        {
            "age": (x.month.ordinal + 1 - birth // 10000 * 12 - birth // 100 % 100) // 12,
            "residence_months": x.months_since(rows["registered_on"]),
            "permit_held": held,
            "permit_months": x.months_since(rows["permit_issued_on"]).where(held, 0),
        }
    )


def insured(x: Extracts, people: pd.Index) -> pd.DataFrame:
    """Months with a payment, but for those that every employer's newest posting takes back.

    A month is a cell of a table of bytes: insurance, resident, months back from the month scored.
    """
    shape, now = (2, len(people), HISTORY), x.month.ordinal
    paid = np.zeros(np.prod(shape), dtype=bool)
    people = pd.Index(
        people.to_numpy("int64")
    )  # looks up in half the time that Arrow's integers take

    def cells(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """The rows that count, and the cell of each."""
        rows = rows[rows["insurance"].isin(["pension", "medical"]) & (rows["month"] <= now)]
        place = people.get_indexer(rows["resident_id"].to_numpy())
        rows, place = rows[place >= 0], place[place >= 0]
        track = (rows["insurance"] == "medical").to_numpy(int)
        return rows, np.ravel_multi_index((track, place, now - rows["month"].to_numpy()), shape)

    columns = ["resident_id", "insurance", "month", "employer_id", "kind", "posted_on"]
    files = x.files("social_security")
    reversals = pd.read_parquet(
        files, columns=columns[:3], filters=[("kind", "==", "reversed")], partitioning=None
    )
    doubtful, cases = pd.Index(np.unique(cells(reversals)[1])), []
    for file in files:
        for batch in pq.ParquetFile(file, read_dictionary=["insurance", "kind"]).iter_batches(
            BATCH, columns=columns
        ):
            rows, cell = cells(batch.to_pandas(date_as_object=False))
            paid[cell[rows["kind"] == "paid"]] = True
            seen = doubtful.get_indexer(cell) >= 0
            cases.append(rows[seen].assign(cell=cell[seen]))
    paid[undone(pd.concat(cases))] = False
    pension, medical = paid.reshape(shape)
    months = np.count_nonzero(pension, axis=1)
    gap = pension.argmax(axis=1)
    pension |= (
        np.arange(HISTORY) < gap[:, None]
    )  # with the gap filled the run reaches back from the month scored
    known = {
        "pension_months": months,
        "medical_months": np.count_nonzero(medical, axis=1),
        "pension_run_months": np.where(months > 0, pension.argmin(axis=1) - gap, 0),
        "pension_gap_months": pd.array(gap, dtype="Int32"),
        "pension_last_month": (np.datetime64(str(x.month)) - gap).astype("datetime64[s]"),
    }
    facts = pd.DataFrame(known, people.astype("int64[pyarrow]"))
    facts.loc[months == 0, ["pension_gap_months", "pension_last_month"]] = None
    return facts


def undone(cases: pd.DataFrame) -> np.ndarray:
    """The months that no employer's newest posting holds; on a tie the reversal wins."""
    newest = (
        cases.sort_values(["posted_on", "kind"])
        .drop_duplicates(["cell", "employer_id"], keep="last")
        .assign(holds=lambda rows: rows["kind"] == "paid")
    )
    stands = newest.groupby("cell")["holds"].any()
    return stands.index[~stands].to_numpy()


def education(x: Extracts) -> pd.DataFrame:
    rows = x.read("education", ["kind", "level"])
    degrees, person = rows["level"].where(rows["kind"] == "degree"), rows["person"]
    skills = rows["level"].replace(city.TITLES)
    return pd.DataFrame(
        {
            "degree": highest(degrees, city.DEGREES, person),
            "skill": highest(skills, city.SKILLS, person),
        }
    )


def housing(x: Extracts) -> pd.DataFrame:
    columns = ["record_id", "tenure", "district", "registered", "from_on", "to_on"]
    homes = x.current(x.read("housing", columns), "from_on", "to_on")
    rentals = homes[homes["tenure"].isin(city.RENTALS)].sort_values(["from_on", "record_id"])
    newest = rentals.drop_duplicates("person", keep="last").set_index("person")
    tenure = highest(homes["tenure"], city.TENURES, homes["person"])
    home = pd.DataFrame({"tenure": tenure, "owns_home": tenure == "owned"})
    newest["rental_months"] = x.months_since(newest["from_on"])
    names = {"registered": "rental_registered", "district": "rental_district"}
    return home.join(newest.rename(columns=names)[[*names.values(), "rental_months"]])


def employment(x: Extracts) -> pd.DataFrame:
    columns = ["occupation", "started_on", "ended_on", "jobs_created"]
    rows = x.current(x.read("employment", columns), "started_on", "ended_on")
    facts = pd.DataFrame(
        {
            "person": rows["person"],
            "employed_months": x.months_since(rows["started_on"]),
            "shortage_job": rows["occupation"].isin(
                city.shortage_occupations(x.month.first_day.year)
            ),
            "jobs_created": rows["jobs_created"].fillna(0),
        }
    )
    how = {"employed_months": "max", "shortage_job": "max", "jobs_created": "sum"}
    return facts.groupby("person").agg(how)


def volunteer(x: Extracts) -> pd.DataFrame:
    rows = x.events("volunteer", "event_id", ["kind", "on_date", "quantity"])
    quantity, service = hundredths(rows["quantity"]), rows["kind"] == "service"
    year, counted = rows["on_date"].dt.year, service & (rows["on_date"] <= x.as_of)
    platelets = quantity.where(rows["kind"] == "platelets", 0)
    measured = {
        "service_hours_24m": quantity.where(service & x.within(rows["on_date"], 24), 0),
        "blood_ml": quantity.where(rows["kind"] == "blood", platelets * 200),
        **{
            f"hours_{y}": quantity.where(counted & (year == y), 0) for y in city.last_years(x.month)
        },
    }
    donations = rows["kind"].isin(["marrow", "organ"]).groupby(rows["person"]).sum()
    return (pd.DataFrame(measured).groupby(rows["person"]).sum() / 100).assign(donations=donations)


def credit(x: Extracts) -> pd.DataFrame:
    rows = x.events("credit", "event_id", ["kind", "level", "on_date", "cleared_on"])
    kind, day = rows["kind"], rows["on_date"]
    honour = (kind == "honour") & x.within(day, 60)
    open_ = (
        (kind == "dishonesty") & (day <= x.as_of) & ~(rows["cleared_on"] <= x.as_of).fillna(False)
    )
    counted = {
        "penalties_24m": (kind == "penalty") & x.within(day, 24),
        "detentions_60m": (kind == "detention") & x.within(day, 60),
        "crimes_120m": (kind == "crime") & x.within(day, 120),
        **{f"honours_{name}": honour & (rows["level"] == name) for name in city.HONOURS},
        **{
            f"dishonesty_{name}": open_ & (rows["level"] == name) for name in ("general", "serious")
        },
    }
    facts = pd.DataFrame(counted).groupby(rows["person"]).sum()
    return facts.assign(
        honour_level=highest(rows["level"].where(honour), city.HONOURS, rows["person"])
    )


def patents(x: Extracts) -> pd.DataFrame:
    rows = x.events("patents", "patent_no", ["kind"])
    kinds = ("invention", "utility_model", "design")
    return (
        pd.DataFrame({f"patents_{kind}": rows["kind"] == kind for kind in kinds})
        .groupby(rows["person"])
        .sum()
    )


def children(x: Extracts) -> pd.DataFrame:
    rows = x.read("children", ["child_id", "enrolled"], person="guardian_id")
    enrolled, birth = rows["enrolled"], pd.Series(birth_date(rows["child_id"]), rows.index)
    starting = enrolled.isin(["none", "kindergarten"]) & birth.between(
        *city.school_birthdays(x.month, 6)
    )
    moving = (enrolled == "primary") & birth.between(*city.school_birthdays(x.month, 12))
    due = pd.DataFrame({"children_due_primary": starting, "children_due_junior_middle": moving})
    return due.groupby(rows["person"]).sum()


def awards(x: Extracts) -> pd.DataFrame:
    """Points per person and `district:indicator`, of the awards within their grantor's quota of the year."""
    columns = ["district", "indicator", "grantor_kind", "grantor_id", "points", "on_date"]
    rows = x.events("local_awards", "award_id", columns).sort_values(["on_date", "award_id"])
    rows["points"], limited = hundredths(rows["points"]), rows["grantor_kind"] != "district"
    rows["year"] = rows["on_date"].dt.year
    rows["running"] = (
        rows["points"].where(limited, 0).groupby([rows["grantor_id"], rows["year"]]).cumsum()
    )
    quotas = pd.read_csv(city.REFERENCE / "award_quotas.csv", dtype_backend="pyarrow")
    rows = rows.merge(
        quotas.rename(columns={"points": "quota"}), on=["grantor_id", "year"], how="left"
    )
    within_quota = (rows["grantor_kind"] == "district") | (
        rows["running"] <= rows["quota"].fillna(0) * 100
    )
    rows = rows[within_quota & x.within(rows["on_date"], 24)]
    key = (rows["district"] + ":" + rows["indicator"]).rename("key")
    return (rows["points"].groupby([rows["person"], key]).sum() / 100).reset_index()


def facts(x: Extracts) -> pd.DataFrame:
    """One row per resident."""
    known = residents(x)
    known = known.join(insured(x, known.index))
    known = known.join(
        [make(x) for make in (education, housing, employment, volunteer, credit, patents, children)]
    )
    known[YES_NO] = known[YES_NO].astype("boolean").fillna(False)
    known = known.fillna(
        {name: 0 for name in known.columns if name not in NULLABLE} | {"tenure": "none"}
    )
    return known.assign(
        insured_now=(known["pension_gap_months"] <= 1).fillna(False),
        frozen=(known["dishonesty_serious"] > 0) | (known["crimes_120m"] > 0),
    )


def main() -> None:
    root, month, target = city.arguments()
    extracts = Extracts(root, month)
    awards(extracts).to_parquet(target / "awards.parquet")
    known = facts(extracts)
    known.to_parquet(target / "facts.parquet")
    points(known, month).to_parquet(target / "scores.parquet")


if __name__ == "__main__":
    main()
