"""Why a file is no usable photo, and the limits that are checked before anything is decoded."""

from __future__ import annotations

from plantset.core.errors import DataError
from plantset.core.language import tr

MAX_BYTES = 256 << 20
MAX_PIXELS = 120_000_000  # a 108-megapixel phone photo passes; decoded it needs 360 MB
MAX_ASPECT = 50  # the longest real panoramas are 10 to 20 times as long as high; beyond are rulers, bars and bombs


class PhotoError(DataError):
    """A file that is no usable photo.

    Attributes:
        reason: stable code: "empty", "html-page", "git-lfs-pointer", "not-an-image", "unsupported-format",
            "truncated", "corrupt", "too-many-bytes", "too-many-pixels", "extreme-shape" or "unreadable".
        detail: technical, English; what the decoder said.
    """

    def __init__(self, reason: str, detail: str = "", name: str = "") -> None:
        what = _explain(reason) + (f" ({detail})" if detail else "")
        super().__init__(
            f"{name}: {what}" if name else what,
            _mend(reason),
        )
        self.args = (reason, detail, name)  # so that the error survives pickling between processes
        self.reason = reason
        self.detail = detail


def check_size(size: tuple[int, int], name: str = "") -> None:
    """Refuse a (width, height) that is too large to decode or too long to be a photo.

    Raises:
        PhotoError: "too-many-pixels" or "extreme-shape".
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise PhotoError("too-many-pixels", f"{width}x{height} > {MAX_PIXELS}", name)
    if max(size) > MAX_ASPECT * min(size):
        raise PhotoError("extreme-shape", f"{width}x{height}, longer than {MAX_ASPECT}:1", name)


def _mend(reason: str) -> str:
    if reason == "unsupported-format":
        return tr(
            "install what is named, or convert the file to JPEG or PNG",
            "installez ce qui est nommé, ou convertissez le fichier en JPEG ou PNG",
        )
    return tr(
        "replace the file by a good copy, or remove it", "remplacez le fichier par une bonne copie, ou retirez-le"
    )


def _explain(reason: str) -> str:
    texts = {
        "empty": ("the file is empty", "le fichier est vide"),
        "html-page": ("a web page, not a photo", "une page web, pas une photo"),
        "git-lfs-pointer": ("a Git LFS pointer, not the photo itself", "un pointeur Git LFS, pas la photo elle-même"),
        "not-an-image": ("not an image", "ce n'est pas une image"),
        "unsupported-format": ("a format that cannot be read here", "un format qui ne peut pas être lu ici"),
        "truncated": ("the file stops before its end", "le fichier s'arrête avant sa fin"),
        "corrupt": ("the picture data are damaged", "les données de l'image sont abîmées"),
        "too-many-bytes": ("the file is too large", "le fichier est trop gros"),
        "too-many-pixels": ("the picture has too many pixels", "l'image a trop de pixels"),
        "extreme-shape": ("a strip, not a photo", "une bande, pas une photo"),
        "unreadable": ("the file cannot be read", "le fichier ne peut pas être lu"),
    }
    return tr(*texts[reason])
