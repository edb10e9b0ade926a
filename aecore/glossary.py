"""Glossary: the one list of the terms of art on the pages, and what each means.

Measures, settings and variants are defined where they are computed; the list takes them from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aecore import metrics
from aecore.applications import sample_quality
from aecore.data import Subset
from aecore.models.variants import VARIANTS
from aecore.projections import PROJECTIONS
from aecore.settings import in_words, list_settings
from aecore.training import TrainingConfig

if TYPE_CHECKING:
    from pydantic import BaseModel

OWN = {
    "Activation function": "The nonlinear function between the layers of a network, such as ReLU, "
    "max(0, x), or ELU. Without it any number of layers is one linear map.",
    "Adam": "The usual optimiser: gradient descent whose step for each weight follows running "
    "means of its gradient and of its square (Kingma & Ba 2015).",
    "Aggregate posterior": "The mixture of the posteriors of all test samples, q(z) = 1/n Σ "
    "q(z | x). The nearer it is to the prior, the more draws from the prior resemble the codes "
    "that the decoder was trained on.",
    "Autoencoder": "A network that copies its input through a code: the encoder computes the code, "
    "and the decoder the copy.",
    "Balanced": "A balanced figure is the mean of the figures of the classes, so that a rare class "
    "counts as much as a common one (Brodersen et al. 2010).",
    "Bayesian search": "A search that draws settings where the trials before were good, by a "
    "tree-structured Parzen estimator (Bergstra et al. 2011).",
    "Bottleneck": "The layer between encoder and decoder, whose values are the code. A map of the "
    "bottleneck shows the codes themselves if they have two dimensions, else their first two "
    "principal components.",
    "Class mean": "The mean of the codes of all samples of a class.",
    "Classical filter": "A denoising method without training, such as the median of neighbouring "
    "pixels; the baseline of a denoising autoencoder.",
    "Code": "The few numbers that the encoder gives a sample, and from which the decoder "
    "reconstructs it; also latent vector, z.",
    "Codebook": "The list of learned vectors out of which a vector-quantised autoencoder composes "
    "its codes (van den Oord et al. 2017).",
    "Conditioned": "A conditioned model is given the class beside the sample, in the encoder and "
    "in the decoder, so that its code need not hold the class.",
    "Convolution": "A layer whose small filters are applied at every place of an image, with the "
    "same weights.",
    "Cross-entropy": "-Σ (x log r + (1 - x) log(1 - r)) over the features of a sample x in [0, 1] "
    "and its reconstruction r: the reconstruction error of a Bernoulli likelihood, in nats.",
    "Cycle error": "||f(g(z)) - z||: how far decoding by g and encoding by f leads away from a "
    "code z. It is large where no training codes lie.",
    "Decoder": "The part of an autoencoder that computes a sample from a code.",
    "Denoising": "Removal of noise. A denoising autoencoder is trained to give the clean sample "
    "for a noisy one (Vincent et al. 2008).",
    "Density": "How many codes lie around a place of the code space. Where it is near 0, the "
    "decoder was hardly trained.",
    "Disparity": "The squared distance that is left between two maps after the second is moved, "
    "turned and scaled onto the first (Procrustes). 0: the same shape.",
    "ELBO": "Evidence lower bound: the expected log-likelihood of a sample under the decoder minus "
    "KL(q(z | x) || p(z)), at most log p(x) (Kingma & Welling 2014). Training maximises it.",
    "Encoder": "The part of an autoencoder that computes the code of a sample.",
    "False neighbours": "Samples that are near on a map but not in the data: 1 minus the "
    "trustworthiness of each sample.",
    "Importance of a setting": "Its share in the variance of the test loss over the trials of a "
    "sweep, by functional analysis of variance (Hutter, Hoos & Leyton-Brown 2014).",
    "Importance of a dimension": "How much a dimension of the code matters: its KL divergence if "
    "the model has a posterior, else its variance over the test samples.",
    "Interpolation": "Decoding of codes on a path between samples. Straight is a + t (b - a), "
    "spherical the great circle between a and b, along the data the shortest path over nearest "
    "neighbours.",
    "Jacobian": "The matrix of the derivatives of every code dimension by every feature of the "
    "input. Its size says how strongly the code reacts to small changes.",
    "KL divergence": "KL(q || p) = ∫ q log(q / p), how far a distribution q is from p, in nats; 0 "
    "if they are equal. Of a Gaussian posterior and N(0, I) it is 1/2 Σ (μ² + σ² - 1 - log σ²): "
    "how many nats the code says of a sample.",
    "Latent arithmetic": "C + t (A - B) for the mean codes of three groups of samples: what "
    "distinguishes A from B is added to C.",
    "Latent space": "The space of all codes; also code space.",
    "Likelihood": "The distribution of a sample given its reconstruction, whose negative logarithm "
    "is the reconstruction error: Gaussian for squared error, Bernoulli for cross-entropy.",
    "Loss": "What training minimises: the reconstruction error, summed over the features of a "
    "sample, plus the penalties of the variant.",
    "Median filter": "Each pixel becomes the median of its neighbourhood (Tukey 1977).",
    "Metadata": "Columns of a dataset that are no features: they are not learned, and colour, "
    "filter and describe samples.",
    "Mixture of Gaussians": "Σ π_k N(μ_k, Σ_k) with full covariances, fitted to the training "
    "codes. It replaces the prior for models that have none.",
    "MMD": "Maximum mean discrepancy: a distance between two distributions, here codes and prior, "
    "estimated from samples by a kernel (Gretton et al. 2012).",
    "MSE": "Mean squared error per feature: the mean of (x - r)² over the features of a sample x "
    "and its reconstruction r.",
    "N(0, I)": "The standard Gaussian: independent dimensions of mean 0 and variance 1.",
    "Nat": "The unit of information with the natural logarithm; 1 nat is 1.44 bits.",
    "Neighbours kept": "The share of a sample's 12 nearest neighbours in the code of one run that "
    "are among its nearest in the code of another.",
    "Non-local means": "Each pixel becomes a mean of pixels whose surroundings look alike (Buades, "
    "Coll & Morel 2005).",
    "Noise level": "How strong a noise is: the standard deviation of Gaussian noise in units of "
    "brightness, or the share of the pixels that masking and salt and pepper change.",
    "One-cycle": "A schedule of the learning rate, which rises to its peak and falls to nothing "
    "within one training (Smith 2018).",
    "PCA": "Principal component analysis: the best linear reconstruction from k numbers, fitted on "
    "the training split (Hotelling 1933). It is the baseline of every autoencoder, and its first "
    "two components are a linear map.",
    "Penalty": "A term that is added to the reconstruction error in the loss, to give the code a "
    "property.",
    "Posterior": "q(z | x), the Gaussian that the encoder of a variational model gives a sample; "
    "its mean is the code.",
    "Posterior collapse": "The posterior of a dimension equals the prior for every sample, so that "
    "the dimension carries no information.",
    "Pretraining": "Training of one layer after the other before all are trained together.",
    "Prior": "p(z), the distribution that training draws the codes towards, here N(0, I). Draws "
    "from it can be decoded into new samples.",
    "PSNR": "Peak signal-to-noise ratio, 10 log10(1 / MSE) in dB for brightness in [0, 1]: the "
    "higher, the nearer to the clean image.",
    "RBM": "Restricted Boltzmann machine: a two-layer model of binary units, with which the first "
    "deep autoencoders were pretrained (Hinton & Salakhutdinov 2006).",
    "Recipe": "An experiment of a paper or tutorial that is run again here, with its published "
    "figure as the target.",
    "Reconstruction": "The output of the decoder for the code of a sample.",
    "Reconstruction error": "The difference of a sample and its reconstruction: as a figure the "
    "mean squared error per feature (MSE), as the loss a sum over all features.",
    "Run": "A trained model with its settings, its measures, and the codes of the test samples.",
    "Sample": "One image, or one row of a table. A decoded random code is called a sample, too.",
    "Score": "∇ log p(x), the direction in which the density of the data rises fastest. The "
    "residual r(x) - x of a denoising autoencoder estimates it (Alain & Bengio 2014).",
    "Sensitivity": "||dD/dz||: how much the decoder's output changes with a small step in the "
    "code. It is high where one kind of image changes into another.",
    "Sigmoid": "1 / (1 + exp(-x)), which maps every number into (0, 1); also logistic function.",
    "Split": "A part of the data: a model is trained on the training split and measured on the "
    "test split, which it has not seen.",
    "Squared error": "Σ (x - r)² over the features of a sample x and its reconstruction r.",
    "SSIM": "Structural similarity, which compares mean, contrast and structure of two images in "
    "small windows (Wang et al. 2004). 1: the same image.",
    "Stability": "The share of a sample's 12 nearest neighbours in the code that stay the same "
    "from run to run, as the mean over all pairs of runs (Wendlandt, Kummerfeld & Mihalcea 2018). "
    "1: all stay. Of codes with nothing in common, 12 / (n - 1) stay by chance, where n is the "
    "number of samples.",
    "Standardised": "Shifted and scaled so that each feature has mean 0 and variance 1 on the "
    "training split.",
    "Successive halving": "Poor trials are stopped early: all train a few epochs, the best of them "
    "some times as many, and so on (Jamieson & Talwalkar 2016).",
    "Sweep": "Trainings that differ in a few settings, planned together and compared.",
    "Temperature": "A factor of the standard deviation of what is drawn: 0 draws means alone, 1 "
    "the distribution itself.",
    "Torn neighbours": "Samples that are near in the data but not on a map: 1 minus the continuity "
    "of each sample.",
    "Total variation": "Σ |∇x|, which denoising by total variation makes small while staying near "
    "the noisy image; it keeps edges (Chambolle 2004).",
    "Traversal": "A row of decoded codes in which one dimension changes and all others stay.",
    "Trial": "One training of a sweep; when it is done it is a run.",
    "t-SNE": "t-distributed stochastic neighbour embedding: a map that keeps near samples near "
    "(van der Maaten & Hinton 2008). Sizes of groups and distances between them mean little.",
    "UMAP": "Uniform manifold approximation and projection: a map that lays out the graph of "
    "nearest neighbours (McInnes, Healy & Melville 2018). Distances between groups mean little.",
    "Variant": "A kind of autoencoder: its architecture, and what its loss asks for.",
    "Wavelet filter": "Denoising by shrinking small wavelet coefficients, here with the thresholds "
    "of BayesShrink (Chang, Yu & Vetterli 2000).",
}
"""Terms that are defined here."""


def _settings(kind: type[BaseModel], *names: str) -> dict[str, str]:
    """Definitions of settings by their labels."""
    listed = {setting.name: setting for setting in list_settings(kind)}
    return {listed[name].label: listed[name].description for name in names}


def _variants() -> dict[str, str]:
    """What each variant is, by its title."""
    what = {kind.title: kind.summary().partition(": ") for kind in VARIANTS.values()}
    return {
        title: f"{about[0].upper()}{about[1:]} Source: {kind.source}." if about else kind.summary()
        for (title, (_, _, about)), kind in zip(what.items(), VARIANTS.values(), strict=True)
    }


def _metrics() -> dict[str, str]:
    """Definitions of measures by their titles."""
    return dict((*metrics.DEFINITIONS.values(), *sample_quality.DEFINITIONS.values()))


PARTS: tuple[Mapping[str, str], ...] = (
    OWN,
    _metrics(),
    _variants(),
    _settings(
        TrainingConfig,
        "epochs",
        "batch_size",
        "learning_rate",
        "optimizer",
        "validation",
        "patience",
        "seed",
    ),
    _settings(PROJECTIONS["tsne"], "perplexity"),
    _settings(VARIANTS["ae"], "dropout", "l2", "tied"),
)
TERMS = dict(
    sorted((item for part in PARTS for item in part.items()), key=lambda item: item[0].casefold())
)
"""Each term with its definition, by the alphabet."""

FORMS = {
    "Activation function": ("activation function", "activation", "activations"),
    "Bottleneck": ("bottleneck", "bottlenecks"),
    "Classical filter": ("classical filter", "classical filters"),
    "Code": ("code", "codes", "code size"),
    "Conditioned": ("conditioned", "conditioned model"),
    "Convolution": ("convolution", "convolutions", "convolutional"),
    "Cycle error": ("cycle error", "cycle errors"),
    "Denoising": ("denoising", "denoiser", "denoisers"),
    "Density": ("density", "denser"),
    "ELBO": ("ELBO",),
    "False neighbours": ("false neighbours",),
    "KL divergence": ("KL divergence", "KL"),
    "Latent space": ("latent space", "code space"),
    "Metadata": ("metadata",),
    "Mixture of Gaussians": ("mixture of Gaussians", "mixture"),
    "Balanced": ("balanced",),
    "MSE": ("MSE", "mean squared error"),
    "PCA": ("PCA", "principal component", "principal components"),
    "RBM": ("RBM", "Boltzmann machine", "Boltzmann machines"),
    "Sigmoid": ("sigmoid", "logistic"),
    "Split": ("split", "splits", "test samples", "training samples", "test images"),
    "SSIM": ("SSIM", "structural similarity"),
    "Validation part": ("validation part", "validation"),
    "Wavelet filter": ("wavelet", "wavelets"),
    "Median filter": ("median", "median filter"),
}
"""How a term is written in sentences, where it is not its title and the plural."""
UNSEEN = ("Run", "Sample", "Sweep", "Trial", "Variant", "Recipe", "Seed", "Epochs", "Split")
"""Terms too common to be explained wherever they are written."""


KINDS: tuple[type[BaseModel], ...] = (
    *VARIANTS.values(),
    TrainingConfig,
    *PROJECTIONS.values(),
    Subset,
)
LABELS = {setting.name: setting.label for kind in KINDS for setting in list_settings(kind)}
"""Label of each setting, by its name."""
LONG = "|".join(name for name in LABELS if "_" in name)
NAMES = re.compile(rf"^([a-z_0-9]+) = |\b({'|'.join(LABELS)}) = |\b({LONG})\b")


def in_labels(problem: str) -> str:
    """A problem of a request with the labels of settings, as fields show them, for their names.

    >>> in_labels("epochs = 0 is not possible: give a larger batch_size.")
    'Epochs: 0 is not possible: give a larger batch size.'
    """

    def label(match: re.Match[str]) -> str:
        first, given, alone = match.groups()
        if first:
            return f"{LABELS.get(first) or in_words(first)}: "
        said = LABELS[given or alone]
        return f"{said[0].lower()}{said[1:]}{' ' if given else ''}"

    return NAMES.sub(label, problem)


def terms_in(text: str) -> list[str]:
    """Terms that a text contains, in its order.

    >>> terms_in("The KL of each dimension of the code")
    ['KL divergence', 'Code']
    """
    return list(dict.fromkeys(BY_FORM[match[0].casefold()] for match in PATTERN.finditer(text)))


def _by_form(terms: Iterable[str]) -> dict[str, str]:
    return {
        form.casefold(): term
        for term in terms
        for form in FORMS.get(term, (term, f"{term}s"))
        if term not in UNSEEN
    }


BY_FORM = _by_form(TERMS)
PATTERN = re.compile(
    rf"(?<!\w)(?:{'|'.join(re.escape(form) for form in sorted(BY_FORM, key=len, reverse=True))})"
    r"(?!\w)",
    re.IGNORECASE,
)
