"""Which method shows where a model looked? Six of them on one trained model, on drawn leaves whose lesions are known.

    .venv/bin/pip install captum==0.9.0
    .venv/bin/python benchmarks/explain.py demo_run [--photos 64] [--checkpoint OTHER.pth]

`demo_run` is what `plantset demo` leaves: photos with masks of their lesions. Ours is `models.relevance`. Grad-CAM
(arXiv 1610.02391), integrated gradients (1703.01365) and occlusion (1311.2901) are Captum's; Grad-CAM++ (1710.11063,
the closed form of its equation 19) and attention rollout (2005.00928; only where blocks attend) are a few lines here.

Lesions: share of the map on lesions over their share of the area; an even map has 1. Pointing: share of photos whose
hottest place lies on a lesion. Deletion, insertion (1806.07421): area under the probability of the class while the
hottest places are blurred, or put back, first; low and high are good. Random: correlation with the map of the same
network with random weights all over; a map of what was learned has 0 (1810.03292). The chosen class is the answer.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from numpy.typing import NDArray
from torch import Tensor, nn

from plantset.core.records import find_images_dir, read_records
from plantset.encoders.vision import normalize
from plantset.evaluation.background import read_mask
from plantset.evaluation.predict import PhotoSource, read_photos
from plantset.inference.explain import mass_inside
from plantset.models.load import LoadedModel, load_model
from plantset.models.relevance import explain_photos

IG_STEPS = 16
PATCHES = 14
CURVE_STEPS = 10
Maps = NDArray[np.float64]
Method = Callable[[LoadedModel, Tensor, Tensor], Maps]


class Classifier(nn.Module):
    """A loaded model as Captum takes one: normalised photos (B, 3, S, S) to logits."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__()
        self.whole = model.model

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.whole(self.whole.vision(pixels_BCHW), None).logits_BC
        return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.checkpoint or options.run_dir / "checkpoints" / "best_model.pth")
    views, lesions = lesioned_leaves(options.run_dir, model, options.photos)
    classes = torch.cat([model.predict_batch(part) for part in views.split(8)]).argmax(dim=1)
    area = float(np.mean([mask.mean() for mask in lesions]))
    print(f"{len(views)} leaves, lesions on {100 * area:.2f} % of the photo; vision tower {model.model.vision.name}")
    print(f"{'':24}{'lesions':>9}{'pointing':>10}{'deletion':>10}{'insertion':>11}{'random':>9}{'CPU s/photo':>13}")
    untrained = random_weights(model)
    for name, method in methods(model).items():
        started = time.process_time()
        maps = in_batches(method, model, views, classes)
        seconds = (time.process_time() - started) / len(views)
        lost = likeness(maps, in_batches(method, untrained, views, classes))
        deletion, insertion = curves(model, views, classes, maps)
        gain = float(np.mean([mass_inside(heat, mask) / mask.mean() for heat, mask in zip(maps, lesions, strict=True)]))
        hit = float(np.mean([mask.flat[heat.argmax()] for heat, mask in zip(maps, lesions, strict=True)]))
        row = f"{name:24}{gain:9.2f}{hit:10.2f}{deletion:10.3f}{insertion:11.3f}{lost:9.2f}{seconds:13.3f}"
        print(row, flush=True)


def lesioned_leaves(run_dir: Path, model: LoadedModel, count: int) -> tuple[Tensor, list[NDArray[np.bool_]]]:
    """Return photos as the model sees them and where their lesions are; leaves without any are left out."""
    manifest = run_dir / "multimodal_dataset.jsonl"
    records = read_records(manifest)
    side = model.image_size_px
    chosen, masks = [], []
    for at in np.random.default_rng(0).permutation(len(records)):
        path = (run_dir / "leaves_masks" / (records[at].source_path or "")).with_suffix(".lesion.png")
        mask = read_mask(path, side) if path.is_file() else np.zeros((side, side), dtype=np.bool_)
        if mask.any() and len(chosen) < count:
            chosen.append(records[at])
            masks.append(mask)
    source = PhotoSource(find_images_dir(manifest, records, None), 16, 0)
    return torch.cat([pixels for _, pixels in read_photos(model, chosen, source)]), masks


def methods(model: LoadedModel) -> dict[str, Method]:
    """Return what can be asked of this tower."""
    found: dict[str, Method] = {
        "even map": lambda _, views, __: np.ones(views.shape[:3]),
        "plantset": lambda asked, views, classes: explain_photos(asked, views, classes),
        "Grad-CAM": grad_cam,
        "Grad-CAM++": grad_cam_plus_plus,
        "integrated gradients": integrated_gradients,
        "occlusion": occlusion,
    }
    if _attention_blocks(model):
        found["attention rollout"] = rollout
        del found["Grad-CAM"], found["Grad-CAM++"]  # of the last convolution, which it has not
    return found


def grad_cam(model: LoadedModel, views: Tensor, classes: Tensor) -> Maps:
    classifier = Classifier(model)
    heat = LayerGradCam(classifier, _last_convolution(model)).attribute(
        _pixels(model, views), target=classes, relu_attributions=True
    )
    return _enlarge(heat[:, 0], views.shape[1])


def grad_cam_plus_plus(model: LoadedModel, views: Tensor, classes: Tensor) -> Maps:
    kept: list[Tensor] = []
    handle = _last_convolution(model).register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.enable_grad():
        logits = Classifier(model)(_pixels(model, views).requires_grad_())
        (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), kept[0])
    handle.remove()
    square, cube = gradient**2, gradient**3
    below = 2 * square + kept[0].sum(dim=(2, 3), keepdim=True) * cube
    alpha = square / torch.where(below.abs() > 1e-12, below, torch.ones_like(below))
    weights = (alpha * gradient.clamp(min=0)).sum(dim=(2, 3), keepdim=True)
    return _enlarge((weights * kept[0]).sum(dim=1).clamp(min=0), views.shape[1])


def integrated_gradients(model: LoadedModel, views: Tensor, classes: Tensor) -> Maps:
    pixels = _pixels(model, views)
    heat = IntegratedGradients(Classifier(model)).attribute(
        pixels, baselines=pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels), target=classes, n_steps=IG_STEPS,
        internal_batch_size=len(views),
    )  # fmt: skip
    return _positive(heat.sum(dim=1))


def occlusion(model: LoadedModel, views: Tensor, classes: Tensor) -> Maps:
    pixels, side = _pixels(model, views), int(views.shape[1])
    patch = side // PATCHES
    with torch.inference_mode():
        heat = Occlusion(Classifier(model)).attribute(
            pixels, sliding_window_shapes=(3, 2 * patch, 2 * patch), strides=(3, patch, patch), target=classes,
            baselines=pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels),
        )  # fmt: skip
    return _positive(heat.sum(dim=1))


def rollout(model: LoadedModel, views: Tensor, classes: Tensor) -> Maps:
    """Multiply each block's mean attention, half of it the residual path; what reaches the pooled token."""
    del classes  # it has none: its weakness
    kept: list[Tensor] = []
    handles = []
    for attention in _attention_blocks(model):
        attention.fused_attn = False
        handles.append(attention.attn_drop.register_forward_hook(lambda _, __, output: kept.append(output)))
    with torch.inference_mode():
        seen = model.model.vision(_pixels(model, views))
    for handle in handles:
        handle.remove()
    total = torch.eye(kept[0].shape[-1]).expand(len(views), -1, -1)
    for weights in kept:
        mean = 0.5 * weights.mean(dim=1) + 0.5 * torch.eye(weights.shape[-1])
        total = mean / mean.sum(dim=-1, keepdim=True) @ total
    num_prefix = total.shape[-1] - seen.tokens_BNC.shape[1]
    return _enlarge(total[:, num_prefix:, num_prefix:].mean(dim=1).reshape(-1, *seen.grid), views.shape[1])


def curves(model: LoadedModel, views: Tensor, classes: Tensor, maps: Maps) -> tuple[float, float]:
    """Return the areas under the class's probability while the hottest places go, and while they come back."""
    side = int(views.shape[1])
    blurred = np.stack([cv2.GaussianBlur(view, (0, 0), side / 16) for view in views.numpy()])
    order = np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    place = place.reshape(maps.shape)[..., None]
    deletion, insertion = [], []
    for step in range(CURVE_STEPS + 1):
        gone = place < step / CURVE_STEPS * side**2
        for area, pictures in (
            (deletion, np.where(gone, blurred, views.numpy())),
            (insertion, np.where(gone, views.numpy(), blurred)),
        ):
            logits = torch.cat([model.predict_batch(part) for part in torch.from_numpy(pictures).split(16)])
            area.append(float(logits.softmax(dim=1).gather(1, classes[:, None]).mean()))
    return float(np.trapezoid(deletion) / CURVE_STEPS), float(np.trapezoid(insertion) / CURVE_STEPS)


def random_weights(model: LoadedModel) -> LoadedModel:
    """Return the same network knowing nothing: each weight drawn with the spread of the learned ones."""
    broken: LoadedModel = copy.copy(model)
    broken.model = copy.deepcopy(model.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in broken.model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * weight.std())
    return broken


def likeness(maps: Maps, others: Maps) -> float:
    """Return the mean correlation; a map that is even in one of the two says nothing, and counts 0."""
    values = []
    for one, other in zip(maps, others, strict=True):
        varied = one.std() > 1e-12 * one.mean() and other.std() > 1e-12 * other.mean()
        values.append(float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) if varied else 0.0)
    return float(np.mean(values))


def in_batches(method: Method, model: LoadedModel, views: Tensor, classes: Tensor) -> Maps:
    parts = [method(model, *part) for part in zip(views.split(8), classes.split(8), strict=True)]
    maps = np.concatenate(parts)
    totals = maps.sum(axis=(1, 2), keepdims=True)
    return np.where(totals > 0, maps / np.maximum(totals, 1e-12), 1 / maps[0].size)


def _pixels(model: LoadedModel, views: Tensor) -> Tensor:
    pixels = normalize(views.permute(0, 3, 1, 2), model.preprocess)
    return pixels.contiguous(memory_format=torch.channels_last).clone()


def _last_convolution(model: LoadedModel) -> nn.Module:
    return [module for module in model.model.vision.modules() if isinstance(module, nn.Conv2d)][-1]


def _attention_blocks(model: LoadedModel) -> list[nn.Module]:
    return [module for module in model.model.vision.modules() if hasattr(module, "attn_drop")]


def _positive(heat_BHW: Tensor) -> Maps:
    return np.asarray(heat_BHW.detach().clamp(min=0).numpy(), dtype=np.float64)


def _enlarge(heat_BHW: Tensor, side: int) -> Maps:
    rows = _positive(heat_BHW)
    return np.stack([cv2.resize(row, (side, side), interpolation=cv2.INTER_LINEAR) for row in rows])


if __name__ == "__main__":
    main()
