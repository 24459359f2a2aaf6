"""The contract with the departments: sources, columns, types, reference tables; and what can leave no folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from expectations.errors import DeclarationError
from expectations.reference_tables import TABLES, load_reference
from expectations.source_loader import BUILTIN_SOURCES, load_sources
from flows.settings import OWN_DECLARATIONS

PROJECT = Path(__file__).parents[3]
SOURCES = load_sources()

# source title delivery key [carry N]: then one column a line, `name* title type`, what else is asked behind it
CONTRACT = """
registry 流动人口登记 snapshot resident_id
  resident_id* 公民身份号码 id
  name 姓名 text null
  phone 联系电话 text null
  residence_district* 居住区县 district
  residence_community 居住小区 text null
  registered_on 首次登记日期 date null
  permit_issued_on 居住证签发日期 date null
  permit_valid_to 居住证有效期至 date null future >=permit_issued_on
  status* 状态 resident,left,deceased
  updated_on 更新日期 date null
social_security 社会保险缴费 increment
  resident_id* 公民身份号码 id
  insurance* 险种 pension,medical,unemployment,injury,maternity
  month* 缴费月份 month ahead12
  district* 参保区县 area
  employer_id 单位编号 text
  base 缴费基数 amount min0
  kind* 类型 paid,reversed
  posted_on* 入账日期 date
education 学历与职业技能 snapshot certificate_no carry3
  certificate_no* 证书编号 text
  resident_id* 公民身份号码 id
  kind* 类别 degree,skill,title
  level* 等级 primary,junior_middle,senior_middle,junior_college,bachelor,master,doctor,level_5,level_4,level_3,level_2,level_1,junior,intermediate,senior degree:primary,junior_middle,senior_middle,junior_college,bachelor,master,doctor skill:level_5,level_4,level_3,level_2,level_1 title:junior,intermediate,senior
  awarded_on* 颁发日期 date
housing 住房 snapshot record_id carry3
  record_id* 记录编号 text
  resident_id* 公民身份号码 id
  tenure* 居住方式 owned,public_rental,rented,dormitory
  district* 区县 area
  community 小区 text
  registered* 是否备案 yes_no
  from_on* 起始日期 date
  to_on 终止日期 date future >=from_on
  monthly_rent 月租金 amount min0
volunteer 志愿服务与捐献 increment event_id
  event_id* 活动编号 text
  resident_id* 公民身份号码 id
  kind* 类别 service,blood,platelets,marrow,organ
  on_date* 日期 date
  quantity* 数量 amount service:above0,max24 blood:200,300,400 platelets:1,2 marrow:1 organ:1
  district 区县 area
  status* 状态 valid,void
credit 荣誉与失信 increment event_id
  event_id* 记录编号 text
  resident_id* 公民身份号码 id
  kind* 类别 honour,dishonesty,penalty,detention,crime
  level* 级别 national,provincial,city,district,general,serious honour:national,provincial,city,district dishonesty:general,serious penalty:general detention:general crime:general
  on_date* 认定日期 date
  cleared_on 修复日期 date >=on_date
  district 区县 area
  status* 状态 valid,void
employment 就业登记 snapshot contract_id carry3
  contract_id* 合同编号 text
  resident_id* 公民身份号码 id
  employer_id* 单位编号 text
  occupation* 职业代码 text
  started_on* 起始日期 date
  ended_on 终止日期 date future >=started_on
  jobs_created 带动就业人数 integer
patents 专利 increment patent_no
  patent_no* 专利号 text
  resident_id* 公民身份号码 id
  kind* 类别 invention,utility_model,design
  granted_on* 授权日期 date
  status* 状态 valid,void
children 随迁子女 snapshot child_id+guardian_id carry3
  child_id* 子女身份号码 id
  guardian_id* 监护人身份号码 id
  enrolled* 在读学段 none,kindergarten,primary,junior_middle,senior_middle
local_awards 区县赋分 increment award_id
  award_id* 赋分编号 text
  resident_id* 公民身份号码 id
  district* 区县 district
  indicator* 个性指标 text
  grantor_kind* 赋分主体 district,enterprise,village,grid
  grantor_id* 主体编号 text
  points* 分值 amount above0,max30
  on_date* 赋分日期 date
  status* 状态 valid,void
corrections 异议处理结果 increment case_id
  case_id* 案件编号 text
  resident_id* 公民身份号码 id
  target* 更正对象 text
  decision* 处理结果 upheld,rejected
  value 更正值 text decision=upheld
  valid_from* 生效日期 date future
  valid_to 失效日期 date future >=valid_from
  decided_on* 决定日期 date
  note 说明 text
objections 异议申请 increment case_id optional
  case_id* 案件编号 text
  resident_id* 公民身份号码 id
  target* 异议对象 text
  filed_on* 申请日期 date
  channel 申请渠道 text
  claim 申请内容 text
reminder_outcomes 提醒办理结果 increment reminder_id optional
  reminder_id* 提醒编号 text
  resident_id 公民身份号码 id null
  outcome* 办理结果 reached,done,declined,unreachable,wrong_number
  on_date* 办理日期 date
  note 备注 text
"""  # noqa: E501 - a table
REFERENCE = {
    "districts": "code name name_en recipient",
    "community_rents": "district community from_month average_rent",
    "shortage_occupations": "year occupation title",
    "school_calendar": "district year level opens_on closes_on",
    "award_quotas": "grantor_id year points",
    "grantor_people": "grantor_id year people",
}
DEPARTMENTS = {
    "registry": "公安",
    "social_security": "人社",
    "education": "教育、人社",
    "housing": "住建",
    "volunteer": "团委、卫健、红十字会",
    "credit": "信用办、法院、公安",
    "employment": "人社、市场监管",
    "patents": "市场监管",
    "children": "教育、卫健",
}
DISTRICTS = (
    "330203 海曙区 330205 江北区 330206 北仑区 330211 镇海区 330212 鄞州区 330213 奉化区 330225 象山县 330226 宁海县"
    " 330281 余姚市 330282 慈溪市"
)


def as_agreed(name: str) -> list[str]:
    """A source's declaration in the words of the contract."""
    source = SOURCES[name]
    carried = f"carry{source.carry_forward}" if source.carry_forward else ""
    optional = "optional" if source.optional else ""
    said_first = [name, source.title, source.delivery, "+".join(source.key), carried, optional]
    lines = [" ".join(filter(None, said_first))]
    for column_name, column in source.columns.items():
        said = [
            f"  {column_name}{'*' if column.required else ''}",
            column.title,
            ",".join(column.values) or column.type,
        ]
        said += ["null"] if column.on_bad == "null" else []
        said += ["future"] if column.future else []
        said += [f"ahead{column.months_ahead}"] if column.months_ahead else []
        said += [f">={column.not_before}"] if column.not_before else []
        for kind, check in ({"": column.check} | column.checks).items():
            if check:
                bounds = [
                    f"{word}{bound}"
                    for word in ("min", "above", "max")
                    if (bound := getattr(check, word)) is not None
                ]
                said.append(
                    (f"{kind}:" if kind else "") + ",".join([*bounds, *(check.one_of or [])])
                )
        said += [f"{other}={value}" for other, value in column.required_when.items()]
        lines.append(" ".join(said))
    return lines


@pytest.mark.promises(
    {
        "sources-75": "each source's title, delivery, key, carry_forward",
        "sources-76": "each column: name, 中文, type, set, range, required, future, order, in order",
        "sources-77": "the departments' names of each source (公安, 人社, ...)",
        "sources-79": "registry: only ID, district, status refuse",
    }
)
def test_the_sources_are_those_agreed_with_the_departments() -> None:
    declared = [line for name in re.findall(r"(?m)^(\w+)", CONTRACT) for line in as_agreed(name)]
    assert declared == CONTRACT.strip("\n").splitlines()
    assert set(SOURCES) == set(re.findall(r"(?m)^(\w+)", CONTRACT))
    assert {name: SOURCES[name].department for name in DEPARTMENTS} == DEPARTMENTS


@pytest.mark.promise("sources-81", "postings: no key; a repeat changes nothing")
@pytest.mark.proves("sources-85")
def test_only_social_security_is_a_ledger_without_key() -> None:
    assert {name for name, source in SOURCES.items() if source.standing == {"status": "valid"}} == {
        *("volunteer", "credit", "patents", "local_awards")
    }
    assert [name for name, source in SOURCES.items() if not source.key] == ["social_security"]
    assert {
        name: source.person for name, source in SOURCES.items() if source.person != "resident_id"
    } == {"children": "guardian_id"}


@pytest.mark.promise("sources-98", "files with these columns; the ten districts by code and name")
def test_the_reference_tables_have_the_columns_and_districts_agreed() -> None:
    assert {name: " ".join(columns) for name, (_, columns) in TABLES.items()} == REFERENCE
    districts = load_reference(OWN_DECLARATIONS / "reference").districts
    agreed = DISTRICTS.split()
    assert dict(zip(agreed[::2], agreed[1::2], strict=True)).items() <= districts.items()


@pytest.mark.promise(
    "sources-155", "a district code, source name, file name cannot leave its folder"
)
@pytest.mark.parametrize("code", ["../33", "33020", "330203/..", "3302o3", "330203 1"])
def test_a_district_code_cannot_leave_its_folder(tmp_path: Path, code: str) -> None:
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    (tmp_path / "reference" / "districts.csv").write_text(
        f"code,name,name_en,recipient\n{code},海曙区,Haishu,\n"
    )
    with pytest.raises(DeclarationError) as caught:
        load_reference(tmp_path / "reference")
    assert "六位区划代码" in str(caught.value)


@pytest.mark.proves("sources-155")
@pytest.mark.parametrize("name", ["../patents", "a/b", "..", "Patents", "a.b", "é"])
def test_a_source_name_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    for path in BUILTIN_SOURCES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(
            text.replace("source: patents", f"source: {name}"), encoding="utf-8"
        )
    with pytest.raises(DeclarationError) as caught:
        load_sources(tmp_path)
    assert "patents.yaml" in str(caught.value)


@pytest.mark.promise("sources-165", "dependencies locked with hashes")
@pytest.mark.parametrize("group", ["", "-dev"])
def test_every_dependency_is_locked_with_its_hashes(group: str) -> None:
    text = (PROJECT / f"requirements{group}.txt").read_text(encoding="utf-8")
    locked = re.split(r"(?m)^(?=\w)", text.replace("\\\n", ""))[1:]
    assert len(locked) > 50
    assert not [
        one.split()[0]
        for one in locked
        if not re.match(r"[\w.\-\[\],]+==\S+ .*--hash=sha256:[0-9a-f]{64}", one)
    ]
    assert "://" not in text


@pytest.mark.proves("sources-165")
def test_what_is_declared_to_be_needed_is_locked() -> None:
    declared = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    needed = re.findall(
        r'(?m)^    "([a-z0-9.-]+)', declared.partition("dependencies = [")[2].partition("\n]")[0]
    )
    locked = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
    assert needed and not [
        name for name in needed if not re.search(rf"(?m)^{name}(\[[^]]*\])?==", locked)
    ]
