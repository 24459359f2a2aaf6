"""Names and origins of the synthetic people; no name, number or ID here is anybody's."""

# Home provinces of people who move to Ningbo, first two digits of the address code, by weight.
# 81, 82 and 83 are residence permits of people from Hong Kong, Macao and Taiwan.
PROVINCES = {
    "34": 18, "52": 14, "51": 9, "41": 9, "36": 9, "33": 8, "42": 6, "50": 5, "53": 5, "43": 4,
    "32": 3, "37": 2, "61": 2, "62": 1.5, "45": 1.2, "35": 1, "23": 1, "22": 0.8, "13": 0.8,
    "21": 0.6, "14": 0.6, "44": 0.5, "15": 0.4, "46": 0.2, "65": 0.2, "63": 0.2, "64": 0.2,
    "31": 0.1, "11": 0.1, "12": 0.1, "54": 0.1, "81": 0.05, "83": 0.05, "82": 0.02,
}  # fmt: skip
SURNAMES = (
    ["王", "李", "张", "刘", "陈"] * 6
    + ["杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭", "何", "林", "高", "罗"] * 2
    + [
        "郑",
        "梁",
        "谢",
        "宋",
        "唐",
        "许",
        "韩",
        "冯",
        "邓",
        "曹",
        "彭",
        "曾",
        "肖",
        "田",
        "董",
        "潘",
        "袁",
        "蔡",
        "余",
    ]
    + ["欧阳", "覃", "冉", "䶮"]  # two characters, regional, and one that old code pages lack
)
GIVEN = list(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉萍红建文辉力永健鹏飞婷雪梅琴云凤春秀珍海燕波宁国庆德才"
)
PHONE_PREFIX = "12"  # no mobile number in China begins so: nobody is called by mistake
