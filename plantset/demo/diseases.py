"""The classes of the demo: each disease's look, as its textbook text says it, and the words for it.

`folder` is how a hurried person named the folder; `disease_id` is what the catalogue calls it.
"""

from __future__ import annotations

from dataclasses import dataclass

from plantset.demo.symptoms import Curl, Mines, Mosaic, Spots, Symptom


@dataclass(frozen=True, slots=True)
class Wording:
    """How one lesion, or the whole symptom, is called in one language.

    Attributes:
        one, many: the lesion in the singular and the plural; `one` alone names what is not counted.
        detail: what goes with it, after a comma; may be empty.
        feminine: French only: "une tache", "réparties".
    """

    one: str
    many: str = ""
    detail: str = ""
    feminine: bool = True


@dataclass(frozen=True, slots=True)
class DemoClass:
    """One class of the demo; `symptom` is None for healthy leaves."""

    disease_id: str
    folder: str
    symptom: Symptom | None = None
    fr: Wording = Wording("")
    en: Wording = Wording("")

    @property
    def crop(self) -> str:
        """The crop's key in CROPS."""
        return self.disease_id.partition("--")[0]


_EARLY_BLIGHT = Spots(
    count=(4, 14),
    radius=(6, 15),
    rings=3,
    profile=(
        (0.0, (84, 58, 36), 1.0),
        (0.9, (118, 86, 54), 1.0),
        (1.0, (72, 50, 32), 1.0),
        (1.06, (206, 192, 62), 0.8),
        (1.7, (200, 200, 70), 0.0),
    ),
)
_EARLY_BLIGHT_FR = Wording(
    "tache brune à anneaux concentriques", "taches brunes à anneaux concentriques", "cernées d'un halo jaune"
)
_EARLY_BLIGHT_EN = Wording(
    "brown spot with concentric rings", "brown spots with concentric rings", "each with a yellow halo"
)
_LATE_BLIGHT = Spots(
    count=(2, 6),
    radius=(17, 40),
    place="margin",
    irregular=0.3,
    bloom=0.75,
    profile=(
        (0.0, (86, 62, 44), 1.0),
        (0.7, (80, 62, 44), 0.97),
        (1.0, (88, 92, 60), 0.92),
        (1.05, (150, 164, 98), 0.6),
        (1.4, (150, 170, 100), 0.0),
    ),
)
_LATE_BLIGHT_FR = Wording(
    "plage brun-vert d'aspect huileux",
    "plages brun-vert d'aspect huileux",
    "bordées d'un duvet blanchâtre",
)
_LATE_BLIGHT_EN = Wording(
    "greenish-brown water-soaked blotch",
    "greenish-brown water-soaked blotches",
    "edged with whitish mould",
)

CLASSES: tuple[DemoClass, ...] = (
    DemoClass("tomato--healthy", "Tomato  healthy"),
    DemoClass("tomato--early-blight", "Tomato  early blight", _EARLY_BLIGHT, _EARLY_BLIGHT_FR, _EARLY_BLIGHT_EN),
    DemoClass("tomato--late-blight", "Tomate mildiou", _LATE_BLIGHT, _LATE_BLIGHT_FR, _LATE_BLIGHT_EN),
    DemoClass(
        "tomato--septoria-leaf-spot",
        "Tomato  septoria leaf sp",
        Spots(
            count=(30, 110),
            radius=(2.3, 4.2),
            profile=(
                (0.0, (196, 186, 160), 1.0),
                (0.45, (178, 162, 132), 1.0),
                (0.7, (86, 60, 42), 1.0),
                (1.0, (70, 50, 35), 0.95),
                (1.08, (172, 176, 80), 0.45),
                (1.5, (180, 180, 80), 0.0),
            ),
        ),
        Wording("tache ronde à centre gris", "taches rondes à centre gris", "à bord brun foncé"),
        Wording("round spot with a grey centre", "round spots with a grey centre", "with a dark brown rim"),
    ),
    DemoClass(
        "tomato--yellow-leaf-curl-virus",
        "Tomato  yellow leaf curl virus",
        Curl((218, 208, 84), reach=(0.22, 0.75)),
        Wording("bords jaunis et enroulés vers le haut", detail="sur un limbe étroit et gaufré"),
        Wording("yellowed margins curled upwards", detail="on a narrow, puckered blade"),
    ),
    DemoClass("potato--healthy", "Potato  healthy"),
    DemoClass("potato--early-blight", "Pomme de terre alternariose", _EARLY_BLIGHT, _EARLY_BLIGHT_FR, _EARLY_BLIGHT_EN),
    DemoClass("potato--late-blight", "Potato  late blight", _LATE_BLIGHT, _LATE_BLIGHT_FR, _LATE_BLIGHT_EN),
    DemoClass("maize--healthy", "Maize healthy"),
    DemoClass(
        "maize--common-rust",
        "Maïs rouille commune",
        Spots(
            count=(50, 240),
            radius=(1.5, 2.9),
            elongation=(1.3, 2.6),
            profile=(
                (0.0, (158, 76, 28), 1.0),
                (0.6, (170, 84, 32), 1.0),
                (1.0, (118, 56, 26), 0.95),
                (1.1, (192, 182, 84), 0.5),
                (1.7, (190, 190, 90), 0.0),
            ),
        ),
        Wording(
            "pustule poudreuse brun cannelle",
            "pustules poudreuses brun cannelle",
            "allongées dans le sens des nervures",
        ),
        Wording("powdery cinnamon-brown pustule", "powdery cinnamon-brown pustules", "stretched along the veins"),
    ),
    DemoClass(
        "maize--northern-leaf-blight",
        "Maize northern leaf blig",
        Spots(
            count=(2, 8),
            radius=(4.5, 8),
            elongation=(4.0, 7.5),
            irregular=0.08,
            profile=(
                (0.0, (188, 172, 132), 1.0),
                (0.75, (172, 154, 114), 1.0),
                (0.95, (122, 102, 72), 1.0),
                (1.05, (140, 146, 74), 0.5),
                (1.35, (150, 160, 80), 0.0),
            ),
        ),
        Wording("lésion beige en forme de cigare", "lésions beiges en forme de cigare"),
        Wording("tan cigar-shaped lesion", "tan cigar-shaped lesions"),
    ),
    DemoClass(
        "maize--streak-virus",
        "Maize streak virus",
        Spots(
            count=(70, 220),
            radius=(0.9, 1.5),
            elongation=(6, 18),
            irregular=0.2,
            profile=(
                (0.0, (236, 234, 164), 0.9),
                (1.0, (226, 226, 142), 0.75),
                (1.5, (220, 220, 130), 0.0),
            ),
        ),
        Wording("strie jaune pâle", "stries jaune pâle", "interrompues et parallèles aux nervures"),
        Wording("pale-yellow streak", "pale-yellow streaks", "broken and parallel to the veins"),
    ),
    DemoClass("cassava--healthy", "Manioc sain"),
    DemoClass(
        "cassava--mosaic-disease",
        "Manioc mosaïque",
        Mosaic((218, 212, 98), cover=(0.2, 0.65)),
        Wording("mosaïque de plages jaune pâle et vertes", detail="sur des lobes déformés"),
        Wording("mosaic of pale yellow and green patches", detail="on misshapen lobes"),
    ),
    DemoClass(
        "cassava--bacterial-blight",
        "Cassava bacterial blight",
        Spots(
            count=(10, 42),
            radius=(4, 9),
            place="between-veins",
            irregular=0.2,
            vein_stop=0.7,
            profile=(
                (0.0, (104, 76, 46), 1.0),
                (0.8, (78, 62, 38), 1.0),
                (1.0, (62, 68, 38), 0.95),
                (1.12, (192, 192, 84), 0.55),
                (1.8, (190, 190, 80), 0.0),
            ),
        ),
        Wording("tache anguleuse brun foncé", "taches anguleuses brun foncé", "limitées par les nervures"),
        Wording("dark brown angular spot", "dark brown angular spots", "bounded by the veins"),
    ),
    DemoClass("cashew--healthy", "Cashew healthy"),
    DemoClass(
        "cashew--anthracnose",
        "Cashew anthracnose",
        Spots(
            count=(3, 9),
            radius=(10, 28),
            place="margin",
            irregular=0.34,
            profile=(
                (0.0, (158, 92, 60), 1.0),
                (0.85, (140, 74, 48), 1.0),
                (1.0, (88, 44, 34), 1.0),
                (1.08, (156, 152, 72), 0.45),
                (1.3, (150, 150, 70), 0.0),
            ),
        ),
        Wording("plage sèche brun-rouge irrégulière", "plages sèches brun-rouge irrégulières", "à bord plus foncé"),
        Wording("irregular reddish-brown dry patch", "irregular reddish-brown dry patches", "with a darker edge"),
    ),
    DemoClass(
        "cashew--red-rust",
        "Cashew red rust",
        Spots(
            count=(16, 70),
            radius=(3, 7),
            irregular=0.16,
            mottle=0.25,
            profile=(
                (0.0, (222, 132, 54), 1.0),
                (0.7, (206, 110, 42), 1.0),
                (1.0, (168, 86, 40), 0.9),
                (1.3, (150, 120, 60), 0.0),
            ),
        ),
        Wording("tache ronde orangée et veloutée", "taches rondes orangées et veloutées"),
        Wording("round velvety orange spot", "round velvety orange spots"),
    ),
    DemoClass(
        "cashew--leaf-miner",
        "Cashew leaf miner",
        Mines((214, 214, 186), (164, 132, 92), count=(2, 7), width=(6, 13)),
        Wording("galerie sinueuse pâle", "galeries sinueuses pâles", "creusées sous l'épiderme"),
        Wording("pale winding mine", "pale winding mines", "under the skin of the leaf"),
    ),
    DemoClass("groundnut--healthy", "Arachide saine"),
    DemoClass(
        "groundnut--early-leaf-spot",
        "groundnut_early_leaf_spot",
        Spots(
            count=(7, 34),
            radius=(3.6, 7.5),
            profile=(
                (0.0, (132, 88, 50), 1.0),
                (0.9, (108, 68, 38), 1.0),
                (1.05, (228, 208, 62), 0.9),
                (1.4, (226, 210, 70), 0.7),
                (1.9, (220, 210, 80), 0.0),
            ),
        ),
        Wording("tache brune arrondie", "taches brunes arrondies", "entourées d'un net halo jaune"),
        Wording("rounded brown spot", "rounded brown spots", "ringed by a clear yellow halo"),
    ),
    DemoClass(
        "groundnut--late-leaf-spot",
        "groundnut_late_leaf_spot",
        Spots(
            count=(12, 60),
            radius=(3, 6),
            profile=(
                (0.0, (42, 32, 28), 1.0),
                (1.0, (32, 24, 22), 1.0),
                (1.1, (96, 100, 42), 0.35),
                (1.3, (100, 110, 50), 0.0),
            ),
        ),
        Wording("tache circulaire presque noire", "taches circulaires presque noires", "sans halo net"),
        Wording("circular, almost black spot", "circular, almost black spots", "without a clear halo"),
    ),
    DemoClass(
        "groundnut--rust",
        "Arachide rouille",
        Spots(
            count=(70, 280),
            radius=(1.2, 2.2),
            profile=(
                (0.0, (212, 104, 32), 1.0),
                (1.0, (180, 88, 36), 0.95),
                (1.1, (214, 192, 74), 0.5),
                (1.8, (210, 200, 80), 0.0),
            ),
        ),
        Wording("pustule orange", "pustules orange", "saillantes et poudreuses"),
        Wording("orange pustule", "orange pustules", "raised and powdery"),
    ),
    DemoClass("mango--healthy", "Mangue saine"),
    DemoClass(
        "mango--anthracnose",
        "Mango anthracnose",
        Spots(
            count=(7, 30),
            radius=(3, 11),
            irregular=0.36,
            profile=(
                (0.0, (66, 44, 34), 1.0),
                (0.8, (44, 30, 26), 1.0),
                (1.0, (50, 34, 26), 1.0),
                (1.12, (168, 160, 76), 0.55),
                (1.6, (160, 160, 80), 0.0),
            ),
        ),
        Wording("tache noire irrégulière", "taches noires irrégulières", "à fin liseré jaune"),
        Wording("irregular black spot", "irregular black spots", "with a thin yellow edge"),
    ),
    DemoClass(
        "mango--powdery-mildew",
        "Manguier oïdium",
        Spots(
            count=(7, 28),
            radius=(7, 19),
            irregular=0.3,
            mottle=0.75,
            profile=(
                (0.0, (232, 234, 228), 0.95),
                (0.6, (228, 230, 224), 0.82),
                (1.0, (222, 226, 216), 0.5),
                (1.35, (220, 224, 212), 0.0),
            ),
        ),
        Wording("feutrage blanc poudreux en plaques", detail="comme saupoudré de farine", feminine=False),
        Wording("white powdery patches", detail="as if dusted with flour"),
    ),
    DemoClass(
        "mango--sooty-mould",
        "Mango  sooty mould",
        Spots(
            count=(6, 18),
            radius=(13, 34),
            irregular=0.34,
            mottle=0.4,
            profile=(
                (0.0, (24, 24, 24), 0.96),
                (0.7, (26, 26, 24), 0.9),
                (1.0, (34, 36, 30), 0.62),
                (1.35, (40, 44, 34), 0.0),
            ),
        ),
        Wording("pellicule noire comme de la suie", detail="qui couvre le limbe par plaques"),
        Wording("black soot-like film", detail="covering the blade in patches"),
    ),
)
