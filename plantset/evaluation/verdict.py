"""What the numbers mean, in words, before any number is shown: what a grower may lean on and what nobody may."""

from __future__ import annotations

from collections.abc import Iterator

from plantset.core.language import tr
from plantset.core.page import Sentence, alarms_first, number, percent, typeset
from plantset.evaluation.intervals import Estimate
from plantset.evaluation.results import EvaluationResults, split_title

FLIP_ALARM = 0.5  # a wrong note that overturns half of the right answers has taken the photo's place
REFUSED_ENOUGH = 0.8  # of the photos of one kind that show none of the classes
CONTRADICTION_ENOUGH = 0.05  # one text in twenty that speaks of something else than the answer
SMALL_NUM_GROUPS = 100
WIDE_INTERVAL = 0.15
FEW_PHOTOS_OF_A_CLASS = 10


def write_verdict(results: EvaluationResults) -> tuple[Sentence, ...]:
    """Return the findings in the language of messages: the answer first, then alarms, then the rest."""
    found = [*_answers(results), *_sample(results), *_notes(results), *_shortcuts(results), *_background(results)]
    found += [*_trust(results), *_promises(results), *_captions(results)]
    return tuple(Sentence(sentence.tone, typeset(sentence.text)) for sentence in alarms_first(found))


def unknown_title(kind: str) -> str:
    """Return the kind of unknown photo in the language of messages."""
    return {
        "unlearned classes": tr("other diseases of its crops", "autres maladies de ses cultures"),
        "other crops": tr("other crops", "autres cultures"),
        "given photos": tr("the photos given as unknown", "les photos données comme inconnues"),
        "black": tr("black photos", "photos noires"),
        "one colour": tr("one colour only", "une seule couleur"),
        "noise": tr("noise", "bruit"),
        "shapes": tr("coloured shapes", "formes colorées"),
    }[kind]


def percent_with_interval(estimate: Estimate) -> str:
    """Return "84.2% (79.0% to 88.1%)", or the value alone where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    low, high = percent(estimate.low), percent(estimate.high)
    return f"{percent(estimate.value)} ({low} {tr('to', 'à')} {high})"


def _answers(results: EvaluationResults) -> Iterator[Sentence]:
    scores = results.classification
    n, leaves, classes = scores.num_photos, scores.num_groups, scores.num_classes_scored
    yield Sentence(
        "main",
        tr(
            f"From a photo alone, the model names the right class in {percent_with_interval(scores.accuracy)} of "
            f"cases: {n} photos of {leaves} leaves, {classes} classes, {split_title(results.split)}.",
            f"Sur photo seule, le modèle nomme la bonne classe dans {percent_with_interval(scores.accuracy)} des "
            f"cas : {n} photos de {leaves} feuilles, {classes} classes, {split_title(results.split)}.",
        ),
    )
    yield _meaning(1 - scores.accuracy.value)
    commonest = max(score.support for score in scores.per_class) / n
    yield Sentence(
        "plain" if scores.accuracy.value > commonest else "alarm",
        tr(
            f"Always answering the commonest class would be right in {percent(commonest)} of cases.",
            f"Répondre toujours la classe la plus fréquente serait juste dans {percent(commonest)} des cas.",
        ),
    )
    if scores.right_crop_wrong_disease and scores.accuracy.value < 1 and scores.crop_accuracy:
        yield Sentence(
            "plain",
            tr(
                f"It recognises the plant in {percent(scores.crop_accuracy.value)} of cases; in "
                f"{percent(scores.right_crop_wrong_disease)} it has the right plant and the wrong disease.",
                f"Il reconnaît la plante dans {percent(scores.crop_accuracy.value)} des cas ; dans "
                f"{percent(scores.right_crop_wrong_disease)} il a la bonne plante et la mauvaise maladie.",
            ),
        )


def _meaning(error: float) -> Sentence:
    if error == 0:
        return Sentence(
            "plain",
            tr(
                "No mistake here; that is no promise of none in the field.",
                "Aucune erreur ici ; cela n'en exclut pas au champ.",
            ),
        )
    if error > 0.5:
        return Sentence(
            "alarm",
            tr(
                "It is wrong more often than right: do not act on its answers.",
                "Il se trompe plus souvent qu'il n'a raison : n'agissez pas sur ses réponses.",
            ),
        )
    one_in = round(1 / error)
    return Sentence(
        "plain",
        tr(
            f"That is about one wrong answer in {one_in}: look at the symptoms it lists before you treat.",
            f"Soit environ une réponse fausse sur {one_in} : vérifiez les symptômes cités avant de traiter.",
        ),
    )


def _sample(results: EvaluationResults) -> Iterator[Sentence]:
    if results.split == "train":
        yield Sentence(
            "alarm",
            tr(
                "These are photos it learnt from: the score says nothing about new photos.",
                "Ce sont des photos qu'il a apprises : le score ne dit rien de nouvelles photos.",
            ),
        )
    if results.split == "val":
        yield Sentence(
            "plain",
            tr(
                "Training chose its model and its thresholds on this selection split, so the numbers flatter a "
                "little; the test split is for the final word.",
                "L'entraînement a choisi son modèle et ses seuils sur ce jeu de sélection : les nombres flattent un "
                "peu ; le jeu de test a le dernier mot.",
            ),
        )
    yield from _sample_size(results)
    yield from _leaves(results)
    if results.num_photos_of_unknown_class:
        left_out = results.num_photos_of_unknown_class
        yield Sentence(
            "warning",
            tr(
                f"{left_out} photos of classes that the model never learnt were left out.",
                f"{left_out} photos de classes que le modèle n'a pas apprises ont été laissées de côté.",
            ),
        )


def _sample_size(results: EvaluationResults) -> Iterator[Sentence]:
    scores = results.classification
    low, high = scores.accuracy.low, scores.accuracy.high
    wide = low is not None and high is not None and high - low > WIDE_INTERVAL
    if scores.num_groups < SMALL_NUM_GROUPS or wide:
        yield Sentence(
            "warning",
            tr(
                f"Small sample ({scores.num_groups} leaves): other photos could give a quite different number.",
                f"Petit échantillon ({scores.num_groups} feuilles) : d'autres photos pourraient donner un nombre bien "
                "différent.",
            ),
        )
    thin = sum(0 < score.support < FEW_PHOTOS_OF_A_CLASS for score in scores.per_class)
    absent = scores.num_classes - scores.num_classes_scored
    if thin or absent:
        few = FEW_PHOTOS_OF_A_CLASS
        counts = (
            (
                thin,
                (f"class has fewer than {few} photos", f"classes have fewer than {few} photos"),
                (f"classe a moins de {few} photos", f"classes ont moins de {few} photos"),
            ),
            (
                absent,
                ("class has no photo", "classes have no photo"),
                ("classe n'a aucune photo", "classes n'ont aucune photo"),
            ),
        )
        said_en = [_counted(count, *words) for count, words, _ in counts if count]
        said_fr = [_counted(count, *words) for count, _, words in counts if count]
        yield Sentence(
            "warning",
            tr(
                f"{' and '.join(said_en)}: their own scores are not to be relied on.",
                f"{' et '.join(said_fr)} : ne vous fiez pas à leurs scores propres.",
            ),
        )


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _leaves(results: EvaluationResults) -> Iterator[Sentence]:
    groups = results.groups
    if groups.num_photos_seen_in_training and results.split != "train":
        yield Sentence(
            "alarm",
            tr(
                f"{groups.num_photos_seen_in_training} photos show leaves that training also saw: the score is too "
                "high. Repair: plantset clean --fix-leaks.",
                f"{groups.num_photos_seen_in_training} photos montrent des feuilles vues à l'entraînement : le score "
                "est trop haut. Remède : plantset clean --fix-leaks.",
            ),
        )
    if groups.num_photos_without_group:
        yield Sentence(
            "warning",
            tr(
                "Not leaf-disjoint as far as is known: photos have no group, so near-copies may be in training and "
                "the intervals are too narrow.",
                "Feuilles disjointes : non garanti. Des photos n'ont pas de groupe ; des quasi-copies peuvent être à "
                "l'entraînement et les intervalles sont trop étroits.",
            ),
        )


def _notes(results: EvaluationResults) -> Iterator[Sentence]:
    modality = results.modality
    if modality is None:
        return
    if modality.leak:
        yield Sentence(
            "alarm",
            tr(
                "The note alone beats the photo alone: the notes give the class away, or the photo is hardly read.",
                "La note seule bat la photo seule : les notes trahissent la classe, ou la photo est à peine lue.",
            ),
        )
    if modality.empty_note_changes:
        yield Sentence(
            "alarm",
            tr(
                f"An empty note changes {modality.empty_note_changes} answers: it must change none. This is a fault "
                "of the program; please report it.",
                f"Une note vide change {modality.empty_note_changes} réponses : elle ne doit en changer aucune. C'est "
                "un défaut du programme ; merci de le signaler.",
            ),
        )
    flips = modality.wrong_note_flips
    if flips is not None:
        yield Sentence(
            "alarm" if flips > FLIP_ALARM else "plain",
            tr(
                f"A note about another disease overturns {percent(flips)} of the answers right from the photo "
                f"(alarm above {percent(FLIP_ALARM, 0)}).",
                f"Une note sur une autre maladie renverse {percent(flips)} des réponses justes sur photo seule "
                f"(alerte au-delà de {percent(FLIP_ALARM, 0)}).",
            ),
        )


def _shortcuts(results: EvaluationResults) -> Iterator[Sentence]:
    found = results.shortcuts
    if found is None:
        return
    border, chance, ours = percent(found.border.value), percent(found.chance), percent(found.model.value)
    yield Sentence(
        "warning" if found.tells else "plain",
        tr(
            f"Eight pixels on the border of the photo, without the leaf, name the class in {border} of cases "
            f"(commonest class: {chance}; the model: {ours}).",
            f"Huit pixels du bord de la photo, sans la feuille, nomment la classe dans {border} des cas "
            f"(classe la plus fréquente : {chance} ; le modèle : {ours}).",
        )
        + (
            tr(
                " The background tells the class: on photos taken elsewhere expect less than this score.",
                " Le fond trahit la classe : sur des photos prises ailleurs, attendez-vous à moins que ce score.",
            )
            if found.tells
            else ""
        ),
    )


def _background(results: EvaluationResults) -> Iterator[Sentence]:
    found = results.background
    if found is None:
        return
    said, chance = percent_with_interval(found.background), percent(found.chance)
    yield Sentence(
        "warning" if found.tells else "plain",
        tr(
            f"With the leaf painted over it still names the class in {said} of cases (commonest class: {chance}).",
            f"Une fois la feuille recouverte, il nomme encore la classe dans {said} des cas "
            f"(classe la plus fréquente : {chance}).",
        ),
    )


def _trust(results: EvaluationResults) -> Iterator[Sentence]:
    ece = results.calibration.ece.value
    yield Sentence(
        "warning" if ece > 0.1 else "plain",
        tr(
            f"Its stated certainty is off by {number(100 * ece, 1)} points in 100 on average.",
            f"Sa certitude affichée s'écarte en moyenne de {number(100 * ece, 1)} points sur 100.",
        ),
    )


def _promises(results: EvaluationResults) -> Iterator[Sentence]:
    sets = results.sets
    if sets is not None:
        short = sets.coverage.high is not None and sets.coverage.high < sets.target
        yield Sentence(
            "warning" if short else "plain",
            tr(
                f"Its sets hold the right class in {percent_with_interval(sets.coverage)} of cases "
                f"({percent(sets.target, 0)} promised), with {number(sets.mean_size.value, 1)} classes on average.",
                f"Ses ensembles contiennent la bonne classe dans {percent_with_interval(sets.coverage)} des cas "
                f"({percent(sets.target, 0)} promis), avec {number(sets.mean_size.value, 1)} classes en moyenne.",
            ),
        )
    refused = {row.kind: row.refused for row in results.unknown if row.refused is not None}
    missed = [kind for kind, share in refused.items() if share < REFUSED_ENOUGH]
    if not refused:
        yield Sentence(
            "warning",
            tr(
                "It cannot say that a photo shows none of its classes: nothing was fitted for that.",
                "Il ne sait pas dire qu'une photo ne montre aucune de ses classes : rien n'a été ajusté pour cela.",
            ),
        )
    elif missed:
        kinds = ", ".join(f"{unknown_title(kind)} {percent(refused[kind], 0)}" for kind in missed)
        yield Sentence(
            "warning",
            tr(
                f"Photos that show none of its classes pass for one of them too often; it notices of these: {kinds}. "
                "Check that the plant is one it knows.",
                "Des photos d'aucune de ses classes passent trop souvent pour l'une d'elles ; il en remarque : "
                f"{kinds}. Vérifiez que la plante est de celles qu'il connaît.",
            ),
        )


def _captions(results: EvaluationResults) -> Iterator[Sentence]:
    captions = results.captions
    if captions is None:
        return
    if results.naming is not None:
        share = percent_with_interval(results.naming.contradicts)
        yield Sentence(
            "warning" if results.naming.contradicts.value > CONTRADICTION_ENOUGH else "plain",
            tr(
                f"Its description names another disease or plant than its own answer in {share} of cases.",
                f"Sa description nomme une autre maladie ou plante que sa propre réponse dans {share} des cas.",
            ),
        )
    if captions.class_text is None:
        return
    better = captions.model.chrf > captions.class_text.chrf
    ours, looked_up = number(captions.model.chrf, 1), number(captions.class_text.chrf, 1)
    yield Sentence(
        "plain" if better else "warning",
        tr(
            f"Its descriptions are {'nearer to' if better else 'no nearer to'} the reference than the text of the "
            f"class it predicts (chrF++ {ours} against {looked_up}).",
            f"Ses descriptions {'sont plus proches' if better else 'ne sont pas plus proches'} de la référence que le "
            f"texte de la classe prédite (chrF++ {ours} contre {looked_up}).",
        ),
    )
