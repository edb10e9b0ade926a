"""Latent sampling, paths and posterior against SciPy, scikit-learn and plain search."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import Listener, run_config
from scipy.integrate import quad
from scipy.stats import norm
from test_variants import model, variant  # noqa: F401

from aecore import latent, metrics
from aecore.errors import InvalidRequest
from aecore.latent import PATH_METHODS, LatentSupport, grid, lattice, path
from aecore.models import inference
from aecore.models.autoencoder import Autoencoder
from aecore.plots.images import sheet
from aecore.runs import store
from aecore.runs.train import Train

rng = np.random.default_rng(3)
BLOB = rng.normal(size=(400, 3)) * (2, 1, 0.1) + (1, 0, -1)


# --- Grids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_a_grid_at_the_priors_quantiles_decodes_as_scipys(n: int) -> None:
    vae = Train(run_config(variant="vae"), "vae").run(Listener()).model()
    made = lattice(grid(n), grid(n), np.zeros(2), (0, 1))
    quantiles = norm.ppf([(i + 0.5) / n for i in range(n)])
    codes = [(x, y) for y in quantiles[::-1] for x in quantiles]
    with torch.no_grad():
        direct = vae.decode(torch.tensor(codes, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(inference.decode(vae, made), direct, atol=1e-6)


def test_quantiles_have_equal_probability_between_bounds() -> None:
    inner = norm.cdf(grid(5, -1, 2))
    share = (norm.cdf(2) - norm.cdf(-1)) / 5
    np.testing.assert_allclose(np.diff(inner), share)
    np.testing.assert_allclose(inner[0] - norm.cdf(-1), share / 2)
    np.testing.assert_allclose(grid(9), -grid(9)[::-1], atol=1e-12)


def test_linear_sides_include_both_ends_and_one_value_is_the_middle() -> None:
    np.testing.assert_allclose(grid(5, -1, 3, "linear"), [-1, 0, 1, 2, 3])
    assert grid(1, -1, 3, "linear") == [1]
    assert grid(1) == [0]


def test_all_that_is_wrong_with_a_grid_is_told() -> None:
    with pytest.raises(InvalidRequest) as told:
        grid(0, 2, -np.inf, "linear")
    assert [fault.split()[0] for fault in told.value.problems] == ["n", "low", "low"]
    with pytest.raises(InvalidRequest, match="spacing"):
        grid(3, spacing="log")


def test_a_lattice_is_read_from_the_top_left() -> None:
    codes = lattice(np.array([1, 2, 3]), np.array([10, 20]), np.full(4, 7), (2, 0))
    assert codes.dtype == np.float32
    assert codes.tolist() == [[y, 7, x, 7] for y in (20, 10) for x in (1, 2, 3)]


def test_the_plane_through_three_codes_meets_them() -> None:
    a, b, c = corners = rng.normal(size=(3, 5))
    top_left, top_right, left, right = latent.plane_through(corners, *[np.array([0, 1])] * 2)
    for found, wanted in ((left, a), (right, b), (top_left, c), (top_right, b + c - a)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_traversal_moves_one_dimension_alone() -> None:
    codes = latent.traversal(np.array([1, 2, 3]), 1, -1, 1, 3)
    assert codes.tolist() == [[1, -1, 3], [1, 0, 3], [1, 1, 3]]


def test_a_sheet_is_the_images_side_by_side() -> None:
    for colors in ((), (3,)):
        images = rng.random((6, 2, 4, *colors))
        laid = sheet(images, 3)
        rows = [np.concatenate(images[i : i + 3], axis=1) for i in (0, 3)]
        np.testing.assert_array_equal(laid, np.concatenate(rows, axis=0))


# --- Dimensions ---------------------------------------------------------------------------------


def test_kl_is_torchs() -> None:
    means, spread = rng.normal(size=(50, 4)), rng.uniform(0.1, 2, (50, 4))
    q = torch.distributions.Normal(torch.tensor(means), torch.tensor(spread))
    prior = torch.distributions.Normal(torch.zeros(50, 4), torch.ones(50, 4))
    wanted = torch.distributions.kl_divergence(q, prior).mean(0).numpy()
    np.testing.assert_allclose(latent.kl_by_dimension(means, spread), wanted)
    found = latent.importance(means, spread)
    assert found.measure == "KL" and (np.diff(found.values) <= 0).all()
    np.testing.assert_allclose(found.values, wanted[found.order])


def test_a_deviation_of_zero_has_a_finite_kl() -> None:
    assert np.isfinite(latent.kl_by_dimension(np.ones((3, 2)), np.zeros((3, 2)))).all()


def test_without_a_posterior_the_variance_ranks() -> None:
    found = latent.importance(BLOB)
    assert found.measure == "variance" and found.order.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.values, BLOB.var(axis=0))


def test_units_are_the_priors_or_the_codes() -> None:
    middle, unit = latent.units(BLOB, prior=False)
    np.testing.assert_allclose(middle, BLOB.mean(0))
    np.testing.assert_allclose(unit, BLOB.std(0))
    assert [part.tolist() for part in latent.units(BLOB, prior=True)] == [[0] * 3, [1] * 3]
    assert latent.units(np.ones((5, 2)), prior=False)[1].tolist() == [1, 1]


def test_the_aggregate_posterior_has_the_moments_of_its_draws() -> None:
    means, spread = rng.normal(2, 3, (400, 2)), rng.uniform(0.1, 2, (400, 2))
    found = latent.health(means, spread)
    draws = (means + spread * rng.normal(size=(3_000, 400, 2))).reshape(-1, 2)
    np.testing.assert_allclose(found.mean, draws.mean(0), atol=0.02)
    np.testing.assert_allclose(found.variance, draws.var(0), rtol=0.01)
    assert found.active == metrics.active_units(means) == 2
    assert found.advice is None


def test_a_collapsed_posterior_is_said_with_what_to_change() -> None:
    means, spread = rng.normal(0, (1, 0.01, 0.02), (300, 3)), np.ones((300, 3))
    some = latent.health(means, spread)
    assert some.active == 1 and some.used.tolist() == [True, False, False]
    assert "2 of 3 dimensions" in some.advice and "2, 3" in some.advice
    whole = latent.health(means * 0.01, spread)
    assert whole.active == 0 and "no dimension depends on the input" in whole.advice
    assert all("lower beta" in each.advice for each in (some, whole))
    assert latent.health(np.zeros((9, 64)), np.ones((9, 64))).advice


# --- The aggregate posterior --------------------------------------------------------------------


def test_the_aggregate_posterior_is_scipys_mixture() -> None:
    means, spread = rng.normal(0.5, 1.5, (60, 3)), rng.uniform(0.1, 0.8, (60, 3))
    found = latent.marginals(means, spread, [2, 0])
    for j, z, density, kl in zip((2, 0), found.z, found.density, found.kl, strict=True):

        def q(z: float, j: int = j) -> float:
            return norm.pdf(z, means[:, j], spread[:, j]).mean()

        np.testing.assert_allclose(density, [q(place) for place in z], atol=2e-3)
        np.testing.assert_allclose(density.sum() * np.diff(z)[0], 1, atol=1e-6)
        wanted = quad(lambda z: q(z) * np.log(q(z) / norm.pdf(z)), -9, 9, limit=500)[0]
        np.testing.assert_allclose(kl, wanted, atol=1e-3)
    np.testing.assert_allclose(found.prior, norm.pdf(found.z), atol=1e-4)


@pytest.mark.parametrize(
    ("mean", "sigma"), [(0, 1), (1, 1), (0, 0.3), (-3, 0.5), (2, 4), (30, 0.5)]
)
def test_of_one_gaussian_the_marginal_kl_is_the_closed_form(mean: float, sigma: float) -> None:
    means, spread = np.full((5, 1), mean), np.full((5, 1), sigma)
    found = latent.marginals(means, spread, [0])
    wanted = latent.kl_by_dimension(means, spread)
    np.testing.assert_allclose(found.kl, wanted, rtol=2e-3, atol=1e-3)
    assert found.z[0, 0] < min(-5.9, mean - 5.9 * sigma) and found.z[0, -1] > mean + 5.9 * sigma


@pytest.mark.parametrize("wide", [1, 50, 4_000])
def test_a_dimension_that_is_the_prior_is_no_way_from_it_whatever_the_others_are(
    wide: float,
) -> None:
    means, spread = np.zeros((3, 2)), np.tile([1.0, wide], (3, 1))
    assert 0 <= latent.marginals(means, spread, [0, 1]).kl[0] < 1e-4


def test_the_marginal_kl_is_a_part_of_the_mean_kl() -> None:
    means, spread = rng.normal(size=(500, 4)), rng.uniform(0.05, 1, (500, 4))
    found = latent.marginals(means, spread, range(4))
    assert (found.kl < latent.kl_by_dimension(means, spread)).all() and (found.kl > 0).all()


def test_posteriors_narrower_than_the_parts_have_a_density() -> None:
    means = rng.normal(size=(4_000, 1))
    found = latent.marginals(means, np.zeros((4_000, 1)), [0])
    assert np.isfinite(found.kl).all()
    np.testing.assert_allclose(found.density.sum() * np.diff(found.z[0])[0], 1, atol=1e-6)
    exact = latent.kl_by_dimension(np.zeros((9, 1)), np.full((9, 1), 1e-3))
    coarse = latent.marginals(np.zeros((9, 1)), np.full((9, 1), 1e-3), [0])
    assert 3 < coarse.kl < exact


# --- Samples ------------------------------------------------------------------------------------


def test_draws_from_the_prior_are_seeded_and_scaled() -> None:
    draws = latent.from_prior(20_000, 2, temperature=0.5, seed=1)
    np.testing.assert_array_equal(draws, latent.from_prior(20_000, 2, 0.5, 1))
    np.testing.assert_allclose(draws.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(draws.std(0), 0.5, atol=0.01)
    assert not latent.from_prior(3, 2, temperature=0).any()


def test_a_mixture_draws_what_it_was_fitted_to() -> None:
    codes = np.concatenate([BLOB, BLOB * 0.5 + 20])
    mixture = latent.fit_mixture(codes)
    draws = mixture.draw(20_000, seed=4)
    np.testing.assert_array_equal(draws, mixture.draw(20_000, seed=4))
    np.testing.assert_allclose(draws.mean(0), codes.mean(0), atol=0.3)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(codes.T), rtol=0.05, atol=0.05)
    # Without any temperature the means are all there is.
    still = mixture.draw(100, temperature=0)
    gap = np.abs(still[:, None] - mixture.means[None]).max(axis=2).min(axis=1)
    np.testing.assert_allclose(gap, 0, atol=1e-5)


def test_draws_of_a_part_have_its_covariance() -> None:
    root = np.array([[1.0, 0.0], [2.0, 0.5]])
    mixture = latent.Mixture(np.ones(1), np.zeros((1, 2)), root[None])
    np.testing.assert_allclose(np.cov(mixture.draw(20_000).T), root @ root.T, atol=0.15)


def test_a_mixture_is_scikit_learns() -> None:
    from sklearn.mixture import GaussianMixture

    known = GaussianMixture(10, random_state=0).fit(BLOB)
    found = latent.fit_mixture(BLOB)
    np.testing.assert_allclose(found.weights, known.weights_)
    np.testing.assert_allclose(found.roots @ found.roots.swapaxes(1, 2), known.covariances_)


@pytest.mark.parametrize("codes", [np.ones((50, 2)), BLOB[:1], BLOB[:5]], ids=["same", "1", "5"])
def test_few_or_equal_codes_make_a_mixture(codes: np.ndarray) -> None:
    assert np.isfinite(latent.fit_mixture(codes).draw(7)).all()


def test_too_wide_a_mixture_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="512"):
        latent.fit_mixture(np.zeros((2_000, 513)))


# --- Where codes lie ----------------------------------------------------------------------------


def test_the_nearest_code_is_found_by_plain_search() -> None:
    codes = rng.normal(size=(20, 3))
    distances = np.linalg.norm(codes[:, None] - BLOB[None], axis=2)
    rows, found = LatentSupport(BLOB).nearest(codes)
    np.testing.assert_array_equal(rows, distances.argmin(1))
    np.testing.assert_allclose(found, distances.min(1))
    np.testing.assert_allclose(LatentSupport(BLOB).around(codes).distances, distances.min(1))


def test_codes_are_covered_where_others_lie() -> None:
    assert LatentSupport(BLOB).around(BLOB).covered.mean() > 0.98
    assert not LatentSupport(BLOB).around(BLOB + 50).covered.any()
    assert LatentSupport(BLOB[:1]).around(BLOB[:2]).covered.tolist() == [True, False]


@pytest.mark.parametrize("d", [1, 2, 16])
def test_the_density_is_that_of_ten_neighbours_by_scipys_tree(d: int) -> None:
    from scipy.spatial import KDTree

    known, codes = rng.normal(size=(900, d)), rng.normal(0, 2, size=(200, d))
    places = LatentSupport(known)
    tree = KDTree(known)
    reach = np.sort(tree.query(known, 11)[0][:, -1])  # each is its own nearest
    np.testing.assert_allclose(places.sparse_radius, np.percentile(reach, 99), rtol=1e-5)
    np.testing.assert_allclose(places.dense_radius, np.percentile(reach, 1), rtol=1e-5)
    density = 1 / tree.query(codes, 10)[0][:, -1] ** d
    sparse, dense = 1 / places.sparse_radius**d, 1 / places.dense_radius**d
    wanted = np.log(density / sparse) / np.log(dense / sparse)
    np.testing.assert_allclose(places.around(codes).density, wanted.clip(0, 1), atol=1e-6)
    assert np.mean((wanted > 0) & (wanted < 1)) > 0


def test_the_density_falls_from_the_middle_outwards_and_is_none_where_nothing_is_near() -> None:
    places = LatentSupport(rng.normal(size=(5_000, 2)))
    ring = np.stack([np.linspace(0, 6, 13), np.zeros(13)], axis=1)
    around = places.around(ring)
    assert around.density[0] > 0.8 and around.density[-1] == 0
    assert (np.diff(around.density) <= 0.05).all()
    assert not around.density[~around.covered].any() and not around.covered[-1]


@pytest.mark.parametrize("known", [np.ones((50, 2)), np.ones((1, 2)), np.ones((4, 2))], ids=len)
def test_copies_of_one_code_are_dense_there_and_nowhere_else(known: np.ndarray) -> None:
    around = LatentSupport(known).around(np.array([[1, 1], [1, 1.5]]))
    assert around.density.tolist() == [1, 0]
    assert around.covered.tolist() == [True, False]


# --- Arithmetic ---------------------------------------------------------------------------------


def test_sums_are_of_the_means() -> None:
    plus, minus, onto = BLOB[:50], BLOB[50:70], BLOB[70:71]
    found = latent.arithmetic(plus, minus, onto, np.array([0, 1, -0.5]))
    a, b, c = (np.average(each, axis=0) for each in (plus, minus, onto))
    np.testing.assert_allclose(found.means, [a, b, c], rtol=1e-6)
    np.testing.assert_allclose(found.codes, [c, a - b + c, (b - a) / 2 + c], rtol=1e-5)
    assert found.codes.dtype == np.float32


def test_what_is_added_to_what_is_taken_away_gives_what_was_added() -> None:
    found = latent.arithmetic(BLOB[:9], BLOB[9:20], BLOB[9:20], np.array([0, 1]))
    np.testing.assert_allclose(found.codes, found.means[[1, 0]], rtol=1e-5)


def test_all_empty_groups_are_told() -> None:
    with pytest.raises(InvalidRequest) as told:
        latent.arithmetic(BLOB[:0], BLOB, BLOB[:0], np.ones(1))
    assert [fault.split("'")[1] for fault in told.value.problems] == ["plus", "onto"]


# --- Paths --------------------------------------------------------------------------------------


def test_the_straight_way_is_a_line() -> None:
    a, b, c = rng.normal(size=(3, 4))
    np.testing.assert_allclose(path([a, b], 5), np.linspace(a, b, 5), rtol=1e-5)
    through = path([a, b, c], 5)
    np.testing.assert_allclose(through, [a, (a + b) / 2, b, (b + c) / 2, c], rtol=1e-5)


def test_the_spherical_way_is_scipys_rotation() -> None:
    from scipy.spatial import geometric_slerp

    for d in (2, 3, 8):
        a, b = rng.normal(size=(2, d))
        a, b = 3 * a / np.linalg.norm(a), 3 * b / np.linalg.norm(b)
        wanted = 3 * geometric_slerp(a / 3, b / 3, np.linspace(0, 1, 9))
        np.testing.assert_allclose(path([a, b], 9, "spherical"), wanted, atol=1e-5)


@pytest.mark.parametrize("b", [(2, 2), (0, 0), (-1, -1), (1, 1), (1, 1 + 1e-9)], ids=str)
def test_the_spherical_way_is_straight_where_there_is_no_angle(b: tuple[float, float]) -> None:
    codes = np.array([(1, 1), b])
    np.testing.assert_allclose(path(codes, 4, "spherical"), path(codes, 4), atol=1e-6)


def test_the_way_along_the_data_goes_round_a_ring() -> None:
    angles = np.linspace(0, 1.5 * np.pi, 300)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = path(ring[[0, -1]], 40, "along the data", ring)
    np.testing.assert_allclose(found[[0, -1]], ring[[0, -1]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=0.01)
    # Three quarters of the circle, by equal steps, and not across the gap.
    steps = np.linalg.norm(np.diff(found, axis=0), axis=1)
    np.testing.assert_allclose(steps.sum(), 1.5 * np.pi, rtol=0.01)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.05)


def test_the_way_along_the_data_is_the_shortest() -> None:
    """The shortest way by plain relaxation (Bellman & Ford) over the same neighbours."""
    codes = BLOB[:60]
    places = np.concatenate([codes[[0, 1]], codes])
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    edges = np.full_like(apart, np.inf)
    for i, row in enumerate(apart):
        near = [j for j in np.argsort(row, kind="stable") if j != i][:10]
        edges[i, near] = row[near]
    edges = np.minimum(edges, edges.T)
    best = np.where(np.arange(len(places)) == 0, 0, np.inf)
    for _ in places:
        best = np.minimum(best, (best[:, None] + edges).min(axis=0))
    found = path(codes[[0, 1]], 2_000, "along the data", codes)
    length = np.linalg.norm(np.diff(found, axis=0), axis=1).sum()
    np.testing.assert_allclose(length, best[1], rtol=1e-3)


@pytest.mark.parametrize("way", PATH_METHODS)
@pytest.mark.parametrize(("n", "steps"), [(2, 2), (3, 10), (3, 600), (5, 16), (8, 8)])
def test_every_way_passes_each_code(way: latent.PathMethod, n: int, steps: int) -> None:
    stops = BLOB[3 : 3 + n]
    found = path(stops, steps, way, BLOB)
    assert found.shape == (steps, 3)
    at = np.linalg.norm(found[:, None] - stops, axis=2).argmin(axis=0)
    np.testing.assert_allclose(found[at], stops, atol=1e-5)
    assert (np.diff(at) > 0).all() and at[0] == 0 and at[-1] == steps - 1
    np.testing.assert_array_equal(found, path(stops, steps, way, BLOB))


def test_islands_are_said() -> None:
    islands = np.concatenate([BLOB[:50], BLOB[:50] + 100])
    with pytest.raises(InvalidRequest, match="No way along the data"):
        path(islands[[0, -1]], 5, "along the data", islands)


def test_what_makes_no_path_is_said() -> None:
    with pytest.raises(InvalidRequest, match="two codes"):
        path(np.ones((1, 2)), 5)
    with pytest.raises(InvalidRequest, match="reference"):
        path(np.ones((2, 2)), 5, "along the data")
    with pytest.raises(InvalidRequest, match="way"):
        path(np.ones((2, 2)), 5, "backwards")
    with pytest.raises(InvalidRequest, match="2 steps cannot pass 3 codes: take 3 or more"):
        path(np.ones((3, 2)), 2)


@pytest.mark.parametrize("way", PATH_METHODS)
def test_a_path_from_a_code_to_itself_stays(way: latent.PathMethod) -> None:
    stops = BLOB[[5, 5]]
    np.testing.assert_allclose(path(stops, 4, way, BLOB), stops[[0] * 4], atol=1e-5)


# --- Every variant ------------------------------------------------------------------------------


def test_every_variant_decodes_what_is_made(model: Autoencoder) -> None:  # noqa: F811
    model.eval()
    codes = rng.normal(size=(300, 3)).astype(np.float32)
    made = [
        lattice(grid(4), grid(3), codes[0], (0, 2)),
        latent.from_prior(5, 3),
        latent.fit_mixture(codes).draw(5),
        *(path(codes[:2], 6, way, codes) for way in PATH_METHODS),
        latent.traversal(codes[0], 1, -1, 1, 4),
        codes,
    ]
    for each in made:
        decoded = inference.decode(model, each, 3)
        assert decoded.shape == (len(each), 64) and np.isfinite(decoded).all()
        np.testing.assert_array_equal(decoded, inference.decode(model, each, 3))
    with torch.no_grad():
        told = torch.full((300,), 3)
        rebuilt = model.decode(torch.tensor(codes), told)
        back = (model.encode(rebuilt, labels=told) - torch.tensor(codes)).norm(dim=1)
    np.testing.assert_allclose(inference.decode(model, codes, 3), rebuilt, atol=1e-5)
    np.testing.assert_allclose(inference.cycle_error(model, codes, 3), back, atol=1e-4)


@pytest.mark.parametrize(
    ("variant_name", "prior", "posterior"),
    [("ae", 0, 0), ("sparse-kl", 0, 0), ("vae", 1, 1), ("iwae", 1, 1), ("wae-mmd", 1, 0)],
)
def test_which_models_have_a_prior(variant_name: str, prior: int, posterior: int) -> None:
    run = Train(run_config(variant=variant_name), "own").run(Listener())
    assert run.capabilities.prior == prior
    assert run.capabilities.posterior == posterior


def test_the_health_of_a_stored_run_agrees_with_its_history() -> None:
    Train(run_config(variant="vae"), "own").run(Listener())
    latent.Analyse("own").run(Listener())
    run = store.load("own")
    spread = latent.analysis_artifact(run).load().arrays["spread"]
    found = latent.health(run.codes["codes"], spread)
    np.testing.assert_allclose(found.kl.sum(), run.history[-1]["test"]["kl"], rtol=1e-4)


def test_a_long_path_has_no_leaps() -> None:
    for way in PATH_METHODS:
        steps = [np.linalg.norm(b - a) for a, b in pairwise(path(BLOB[:2], 200, way, BLOB))]
        assert max(steps) < 0.5
