"""The model hub: whether it answers, and what to tell the user when it does not."""

from __future__ import annotations

import urllib.error
import urllib.request

from plantset.core.errors import ConfigError
from plantset.core.language import tr

_TIMEOUT_S = 5.0


def hub_answers() -> bool:
    """Ask the hub once, for at most a few seconds.

    Its own client tries six times over 23 seconds per file, and looks for two files: a minute before a laptop without
    network learns that it has none.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return True
    except urllib.error.HTTPError:
        return True  # an answer, if not a friendly one
    except OSError:
        return False


def unreachable(name: str, *ways: str) -> ConfigError:
    """Say that weights cannot be downloaded, and each way round.

    Args:
        name: of the backbone.
        ways: what to do instead, each a phrase in the language of messages.
    """
    return ConfigError(
        tr(
            f"cannot reach the model hub for {name}, which is not on this computer either",
            f"le dépôt de modèles est injoignable pour {name}, qui n'est pas non plus sur cet ordinateur",
        ),
        tr("connect; or ", "connectez-vous ; ou ") + tr("; or ", " ; ou ").join(ways),
    )
