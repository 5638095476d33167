"""Photos to tokens: any timm backbone behind one small face.

Dimensions: B photos, C channels, H and W pixels or cells, N = H·W tokens, P prefix tokens (class, registers).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.preprocess import Interpolation, PreprocessConfig
from plantset.encoders.tower import Tower


class VisionTokens(NamedTuple):
    """What a backbone sees.

    Attributes:
        tokens_BNC: one token per cell of the grid, row by row from the top left.
        grid: (rows, columns), whose product is N.
        prefix_BPC: class and register tokens, None where the backbone has none.
    """

    tokens_BNC: Tensor
    grid: tuple[int, int]
    prefix_BPC: Tensor | None


class VisionEncoder(Tower):
    """A timm model without its head.

    Args:
        model: built by timm; its classifier and every other part that its tokens do not depend on are removed here.
        name: as the registry takes it.
        preprocess: how the weights want their photos.
        architecture: timm's name of the network.
        fingerprint: identity of packaged weights, if such were loaded.

    Attributes:
        preprocess: geometry and normalisation of the input.
        grid: (rows, columns) of tokens for a photo of `preprocess.image_size_px`.
        num_prefix_tokens: P, 0 for a CNN.

    Raises:
        ConfigError: the backbone does not take photos of that size, or does not give tokens.
    """

    def __init__(
        self, model: nn.Module, *, name: str, preprocess: PreprocessConfig, architecture: str, fingerprint: str | None
    ) -> None:
        super().__init__(name=name, width=int(model.num_features), fingerprint=fingerprint)  # type: ignore[arg-type]
        self.model: Any = model
        self.preprocess = preprocess
        self.architecture = architecture
        self.num_prefix_tokens = int(getattr(model, "num_prefix_tokens", 0))
        self.grid = self._try_out()

    def forward(self, pixels_BCHW: Tensor) -> VisionTokens:
        """See the photos.

        Args:
            pixels_BCHW: float, normalised with `preprocess` (see `normalize`).

        Returns:
            The tokens of the last layer before pooling, dtype as the backbone computes.
        """
        return self.as_tokens(self.features(pixels_BCHW))

    def features(self, pixels_BCHW: Tensor) -> Tensor:
        """Return the backbone's last features in timm's own layout, for keeping; `as_tokens` reads them."""
        features: Tensor = self.model.forward_features(pixels_BCHW)
        return features

    def as_tokens(self, features: Tensor) -> VisionTokens:
        """Turn the backbone's last features into tokens."""
        if features.ndim == 4:
            if not self.is_channels_last(features):
                features = features.permute(0, 2, 3, 1)
            return VisionTokens(features.flatten(1, 2), (features.shape[1], features.shape[2]), None)
        prefix = features[:, : self.num_prefix_tokens] if self.num_prefix_tokens else None
        tokens = features[:, self.num_prefix_tokens :]
        return VisionTokens(tokens, self._grid_of(tokens.shape[1]), prefix)

    def set_grad_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory: activations are computed again in the backward pass."""
        self.model.set_grad_checkpointing(enabled)

    def is_channels_last(self, features: Tensor) -> bool:
        """Return whether the backbone's last feature maps are (B, H, W, C), as timm's Swin's."""
        declared = getattr(self.model, "output_fmt", None)
        if declared is not None:
            return str(getattr(declared, "value", declared)) == "NHWC"
        return features.shape[-1] == self.width and features.shape[1] != self.width

    def _grid_of(self, count: int) -> tuple[int, int]:
        side = round(count**0.5)
        if side * side != count:
            raise _no_tokens(self.name)
        return side, side

    def _try_out(self) -> tuple[int, int]:
        """Run one black photo through: proves the size, finds the grid, and cuts off what tokens do not depend on."""
        size = self.preprocess.image_size_px
        device = next(self.model.parameters()).device
        self.model.eval()
        with torch.enable_grad():
            try:
                features = self.model.forward_features(torch.zeros(1, 3, size, size, device=device))
            except (RuntimeError, AssertionError, ValueError) as error:
                raise _wrong_size(self.name, size, error) from error
            if not isinstance(features, Tensor) or features.ndim not in (3, 4):
                raise _no_tokens(self.name)
            _cut_unused(self.model, features)
        self.model.train(self.training)
        return self.as_tokens(features).grid


def normalize(pixels_BCHW: Tensor, preprocess: PreprocessConfig) -> Tensor:
    """Turn uint8 pixels into what the backbone was trained on: (pixels / 255 - mean) / std.

    Args:
        pixels_BCHW: uint8 RGB, any device.
        preprocess: of the backbone.

    Returns:
        float32 of the same shape, on the same device; channels last in memory on CPU and CUDA.
    """
    if pixels_BCHW.device.type in ("cpu", "cuda"):
        # Convolutions keep this layout: EfficientNet-Lite0 sees 1.4 to 1.7 times as many photos a second on a CPU,
        # ResNet-50 1.1 times, and transformers do not mind. XLA lays tensors out itself.
        pixels_BCHW = pixels_BCHW.contiguous(memory_format=torch.channels_last)
    # One multiply and one add on the whole batch; the scalars are folded in double precision first.
    scale = [1 / (255 * std) for std in preprocess.std]
    shift = [-mean / std for mean, std in zip(preprocess.mean, preprocess.std, strict=True)]
    options = {"dtype": torch.float32, "device": pixels_BCHW.device}
    scale_C11 = torch.tensor(scale, **options).view(3, 1, 1)  # type: ignore[arg-type]
    shift_C11 = torch.tensor(shift, **options).view(3, 1, 1)  # type: ignore[arg-type]
    return torch.addcmul(shift_C11, pixels_BCHW.float(), scale_C11)


def preprocess_of(model: nn.Module, image_size_px: int | None) -> PreprocessConfig:
    """Read from timm how the weights were trained to see photos.

    Args:
        model: built by timm.
        image_size_px: the size to use instead of the weights' own.
    """
    from timm.data import resolve_model_data_config

    data = resolve_model_data_config(model)
    interpolation: Interpolation = "bilinear" if data["interpolation"] == "bilinear" else "bicubic"
    return PreprocessConfig(
        image_size_px=image_size_px or int(data["input_size"][-1]),
        crop_ratio=float(data["crop_pct"]),
        interpolation=interpolation,
        mean=_three(data["mean"]),
        std=_three(data["std"]),
    )


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _cut_unused(model: nn.Module, features: Tensor) -> None:
    """Replace by identities the modules that the tokens do not depend on.

    Pooling norms and pre-classifier layers would otherwise be trainable parameters that never get a gradient.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(features.sum(), [parameter for _, parameter in named], allow_unused=True)
    cut: list[str] = []
    unused = {name for (name, _), gradient in zip(named, gradients, strict=True) if gradient is None}
    for module_name in sorted({name.rpartition(".")[0] for name in unused} - {""}):
        if any(module_name.startswith(f"{gone}.") for gone in cut):
            continue
        module = model.get_submodule(module_name)
        if all(f"{module_name}.{name}" in unused for name, _ in module.named_parameters()):
            model.set_submodule(module_name, nn.Identity())
            cut.append(module_name)


def _no_tokens(name: str) -> ConfigError:
    return ConfigError(
        tr(
            f"the vision backbone {name} does not give its features as a square grid of tokens",
            f"le modèle de vision {name} ne donne pas ses caractéristiques en grille carrée de jetons",
        ),
        tr("choose another --vision-backbone", "choisissez un autre --vision-backbone"),
    )


def _wrong_size(name: str, size: int, error: Exception) -> ConfigError:
    return ConfigError(
        tr(
            f"the vision backbone {name} does not take photos of {size} px: {error}",
            f"le modèle de vision {name} n'accepte pas des photos de {size} px : {error}",
        ),
        tr(
            "choose another --image-size (a multiple of 32 suits most backbones), or leave it out",
            "choisissez un autre --image-size (un multiple de 32 convient à presque tous), ou ne le donnez pas",
        ),
    )
