"""conjugacy: exact on rotated copies of every kind of operator, symmetric, deterministic."""

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag
from scipy.stats import ortho_group

from repsim.dynamics.alignment import conjugacy

SIZES = (2, 3, 5, 10, 20, 30, 50, 100)
ANGLE = 1e-4


def rotation(n, determinant, rng):
    q = ortho_group.rvs(n, random_state=rng)
    q[0] *= determinant * np.sign(np.linalg.det(q))
    return q


def gaussian(n, rng):
    return rng.normal(size=(n, n))


def symmetric(n, rng):
    x = gaussian(n, rng)
    return x + x.T


def antisymmetric(n, rng):
    x = gaussian(n, rng)
    return x - x.T


def orthogonal(n, rng):
    return ortho_group.rvs(n, random_state=rng)


def normal(n, rng):
    blocks = [np.array([[x, -y], [y, x]]) for x, y in rng.normal(size=(n // 2, 2))]
    blocks += [rng.normal(size=(1, 1))] * (n % 2)
    return turned(block_diag(*blocks), orthogonal(n, rng))


def two_values(n, rng):
    return np.repeat(rng.normal(size=2), [n // 2, n - n // 2])


def two_jordan_blocks(n, rng):
    return np.diag(two_values(n, rng)) + np.diag(np.arange(1, n) != n // 2, k=1)


def turned(x, basis):
    return basis @ x @ np.linalg.inv(basis)


def low_rank(n, rng):
    rank = max(1, n // 4)
    return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n))


def twins(n, rng):
    """Two copies of one block: every symmetric matrix built from it has double eigenvalues."""
    x = gaussian(n // 2, rng)
    return block_diag(x, x, *[np.ones((1, 1))] * (n % 2))


def lorenz(n, rng):
    r, dt = rng.choice([0.5, 10.0, 28.0, 40.0]), 0.01
    x, path = rng.normal(size=(30, 3)), []
    for _ in range(150):
        velocity = [
            10 * (x[:, 1] - x[:, 0]),
            x[:, 0] * (r - x[:, 2]) - x[:, 1],
            x[:, 0] * x[:, 1] - 8 / 3 * x[:, 2],
        ]
        x = x + dt * np.stack(velocity, axis=1)
        path.append(x)
    return fitted(np.stack(path, axis=1), n, rng)


def network(n, rng):
    weights = rng.normal(size=(40, 40)) * rng.choice([0.8, 1.5]) / np.sqrt(40)
    x, path = rng.normal(size=(30, 40)), []
    for _ in range(150):
        x = 0.8 * x + 0.2 * np.tanh(x @ weights.T)
        path.append(x)
    return fitted(np.stack(path, axis=1), n, rng)


def fitted(path, n, rng):
    """A Hankel-DMD operator of rank n in whitened coordinates, seen through a noisy embedding."""
    x = np.tanh((path / path.std()) @ rng.normal(size=(path.shape[2], 20)) / np.sqrt(path.shape[2]))
    x = x + 0.01 * rng.normal(size=x.shape)
    windows = np.concatenate([x[:, k : x.shape[1] - 5 + k] for k in range(6)], axis=2)
    basis = np.linalg.svd(windows.reshape(-1, 120), full_matrices=False)[0][:, :n].reshape(
        *windows.shape[:2], n
    )
    before, after = basis[:, :-1].reshape(-1, n), basis[:, 1:].reshape(-1, n)
    return np.linalg.solve(before.T @ before + 1e-8 * np.eye(n), before.T @ after).T


FAMILIES = {
    "gaussian": gaussian,
    "symmetric": symmetric,
    "antisymmetric": antisymmetric,
    "orthogonal": orthogonal,
    "normal": normal,
    "identity": lambda n, rng: np.eye(n),
    "near_identity": lambda n, rng: np.eye(n) + 1e-3 * gaussian(n, rng),
    "jordan_block": lambda n, rng: 0.9 * np.eye(n) + np.eye(n, k=1),
    "nilpotent": lambda n, rng: np.eye(n, k=1),
    "repeated": lambda n, rng: turned(np.diag(two_values(n, rng)), orthogonal(n, rng)),
    "repeated_oblique": lambda n, rng: turned(np.diag(two_values(n, rng)), gaussian(n, rng)),
    "defective": lambda n, rng: turned(two_jordan_blocks(n, rng), gaussian(n, rng)),
    "low_rank": low_rank,
    "twins": twins,
    "lorenz": lorenz,
    "network": network,
}


def planted(family, n, count, seed):
    rng = np.random.default_rng(seed)
    a = np.stack([FAMILIES[family](n, rng) for _ in range(count)])
    q = np.stack([rotation(n, (-1) ** i, rng) for i in range(count)])
    return a, q @ a @ q.transpose(0, 2, 1)


@pytest.fixture
def pairs():
    rng = np.random.default_rng(3)
    return np.stack([network(8, rng), lorenz(8, rng), gaussian(8, rng)]), rng.normal(size=(3, 8, 8))


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_rotated_copy_is_at_distance_zero(family, n):
    assert np.max(conjugacy(*planted(family, n, 2, seed=n)).angle) < ANGLE


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_rotated_copies_of_all_sizes_are_at_distance_zero(family, n):
    assert np.max(conjugacy(*planted(family, n, 6, seed=100 + n)).angle) < ANGLE


def test_transform_is_orthogonal_and_reaches_the_residual(pairs):
    a, b = (x / np.linalg.norm(x, axis=(1, 2), keepdims=True) for x in pairs)
    found = conjugacy(*pairs)
    c = found.transform
    np.testing.assert_allclose(
        c @ c.transpose(0, 2, 1), np.broadcast_to(np.eye(8), c.shape), atol=1e-12
    )
    np.testing.assert_allclose(
        np.linalg.norm(a - c @ b @ c.transpose(0, 2, 1), axis=(1, 2)), found.residual
    )
    np.testing.assert_allclose(found.angle, 2 * np.arcsin(found.residual / 2))
    assert (found.gradient_norm < 1e-6).all()
    assert (found.second_best >= found.residual).all()


def test_arguments_can_be_swapped(pairs):
    forward, back = conjugacy(*pairs), conjugacy(*pairs[::-1])
    np.testing.assert_array_equal(forward.angle, back.angle)
    np.testing.assert_array_equal(forward.transform, back.transform.transpose(0, 2, 1))


def test_same_bits_twice_whatever_the_global_seed(pairs):
    torch.manual_seed(1)
    first = conjugacy(*pairs)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = conjugacy(*pairs)
    np.testing.assert_array_equal(first.transform, second.transform)
    assert torch.equal(state, torch.get_rng_state())


def test_a_pair_does_not_depend_on_its_batch(pairs):
    a, b = pairs
    together = conjugacy(a, b)
    alone = [conjugacy(x, y).angle for x, y in zip(a, b, strict=True)]
    turned = conjugacy(a[::-1], b[::-1]).angle[::-1]
    np.testing.assert_allclose(together.angle, alone, rtol=0, atol=1e-10)
    np.testing.assert_allclose(together.angle, turned, rtol=0, atol=1e-10)


def test_rotating_one_operator_changes_nothing(pairs):
    a, b = pairs
    q = rotation(8, -1, np.random.default_rng(0))
    np.testing.assert_allclose(conjugacy(q @ a @ q.T, b).angle, conjugacy(a, b).angle, atol=1e-6)


def test_scale_does_not_count_and_inputs_stay(pairs):
    (a, b), before = pairs, np.copy(pairs)
    np.testing.assert_allclose(conjugacy(5 * a, b).angle, conjugacy(a, b).angle, atol=1e-9)
    np.testing.assert_array_equal(pairs, before)


def test_opposite_operators_are_at_pi():
    assert conjugacy(np.eye(4), -np.eye(4)).angle == pytest.approx(np.pi)


def test_symmetric_operators_are_as_far_as_their_sorted_eigenvalues():
    rng = np.random.default_rng(1)
    for n in (2, 4, 9, 20):
        a, b = (x / np.linalg.norm(x) for x in (symmetric(n, rng), symmetric(n, rng)))
        found = conjugacy(a, b)
        exact = np.linalg.norm(np.linalg.eigvalsh(a) - np.linalg.eigvalsh(b))
        assert found.residual == pytest.approx(exact, abs=1e-8)
        assert found.lower_bound == pytest.approx(exact, abs=1e-12)


def test_two_dimensions_by_brute_force():
    rng = np.random.default_rng(2)
    angle = np.linspace(0, 2 * np.pi, 20001)
    turn = np.stack([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(
        2, 0, 1
    )
    group = np.concatenate([turn, turn @ np.diag([1, -1])])
    for _ in range(20):
        a, b = (x / np.linalg.norm(x) for x in rng.normal(size=(2, 2, 2)))
        everywhere = np.linalg.norm(a - group @ b @ group.transpose(0, 2, 1), axis=(1, 2))
        assert conjugacy(a, b).residual == pytest.approx(everywhere.min(), abs=1e-6)


def test_lower_bound_holds():
    rng = np.random.default_rng(4)
    for n in (2, 3, 7, 12):
        found = conjugacy(rng.normal(size=(10, n, n)), rng.normal(size=(10, n, n)))
        assert (found.lower_bound <= found.residual + 1e-12).all()


def test_gradient_agrees_with_finite_differences():
    a, b = (
        torch.tensor(x, requires_grad=True) for x in np.random.default_rng(5).normal(size=(2, 4, 4))
    )
    conjugacy(a, b).angle.backward()
    for x, place in ((a, 0), (b, 1)):
        moved = []
        for size in (1e-5, -1e-5):
            change = torch.zeros(4, 4, dtype=torch.float64)
            change[1, 2] = size
            arguments = [a.detach(), b.detach()]
            arguments[place] = arguments[place] + change
            moved.append(conjugacy(*arguments).angle)
        assert float(x.grad[1, 2]) == pytest.approx(float(moved[0] - moved[1]) / 2e-5, abs=1e-5)


def test_gradient_of_equal_operators_is_zero():
    a = torch.tensor(gaussian(3, np.random.default_rng(0)), requires_grad=True)
    conjugacy(a, a.detach()).angle.backward()
    assert a.grad.abs().max() < 1e-12


def test_unequal_sizes_are_padded_with_zeros():
    rng = np.random.default_rng(6)
    a, b = gaussian(3, rng), gaussian(5, rng)
    padded = np.zeros((5, 5))
    padded[:3, :3] = a
    assert conjugacy(a, b).angle == pytest.approx(conjugacy(padded, b).angle, abs=1e-9)
    assert conjugacy(padded, a).angle < ANGLE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_library_and_precision_follow_the_input(dtype):
    a, b = torch.randn(2, 3, 4, 4, dtype=dtype, generator=torch.Generator().manual_seed(0))
    found = conjugacy(a, b)
    assert found.angle.dtype == found.transform.dtype == dtype
    assert found.angle.shape == found.lower_bound.shape == (3,)
    plain = conjugacy(a.numpy(), b.numpy())
    assert isinstance(plain.angle, np.ndarray)
    assert plain.angle.dtype == a.numpy().dtype
    np.testing.assert_array_equal(plain.angle, found.angle.numpy())
    assert conjugacy(a[0], b[0]).angle.shape == ()


def test_one_operator_against_a_stack(pairs):
    a, b = pairs
    np.testing.assert_allclose(
        conjugacy(a[0], b).angle, conjugacy(np.stack([a[0]] * 3), b).angle, atol=1e-10
    )
