// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The BN254 precompiles, wrapped so that a failure can never look like an answer.
/// @notice Source: EIP-196, EIP-197, gas of EIP-1108. The precompiles refuse coordinates >= q,
/// points off their curve and G2 points outside the subgroup; every such refusal reverts here. A
/// precompile that fails burns all gas that it was given. So each call is given a bounded amount:
/// HEADROOM times today's price, in case a fork raises prices. Points are X, Y; infinity is (0, 0).
library Bn254 {
    /// @notice r: order of the groups; scalars and public inputs are numbers modulo r.
    uint256 internal constant R =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @notice q: coordinates are numbers modulo q.
    uint256 internal constant Q =
        21888242871839275222246405745257275088696311157297823662689037894645226208583;
    /// @notice Words of one pair of the pairing: G1 as X, Y and G2 as X1, X0, Y1, Y0.
    uint256 internal constant PAIR_WORDS = 6;

    uint256 internal constant ADD_GAS = 150;
    uint256 internal constant MUL_GAS = 6_000;
    uint256 private constant PAIRING_BASE_GAS = 45_000;
    uint256 private constant PAIRING_POINT_GAS = 34_000;
    uint256 private constant HEADROOM = 4;

    /// @notice A running sum of points.
    /// @dev The product to be added lies behind the sum, so that both together are the input of the
    /// next addition.
    struct Sum {
        uint256 x;
        uint256 y;
        uint256 productX;
        uint256 productY;
    }

    /// @notice A precompile refused its input: a coordinate is not below q, or a point is not on
    /// its curve or in its subgroup.
    error MalformedPoint(uint256 precompile);
    /// @notice Too little gas is left: the precompile would fail for lack of gas, not of a proof.
    error LowGas(uint256 required, uint256 left);
    /// @notice The chain has no such precompile.
    error PrecompileMissing(uint256 precompile);

    /// @notice sum += p.
    function accumulate(Sum memory sum, uint256[2] memory p) internal view {
        accumulateAt(_place(sum), _place(p));
    }

    /// @notice sum += scalar * p.
    function accumulate(Sum memory sum, uint256[2] memory p, uint256 scalar) internal view {
        accumulateAt(_place(sum), _place(p), scalar);
    }

    /// @notice `accumulate`, with a sum and a point given by their places in memory. Solidity would
    /// allocate and zero memory for every variable of a struct or array type, which costs too much
    /// for a long list of points.
    function accumulateAt(uint256 sum, uint256 p) internal view {
        assembly ("memory-safe") {
            mcopy(add(sum, 64), p, 64)
        }
        _addProduct(sum);
    }

    /// @notice `accumulate` of scalar * p, with a sum and a point given by their places in memory.
    function accumulateAt(uint256 sum, uint256 p, uint256 scalar) internal view {
        unchecked {
            mulAt(p, scalar, sum + 64); // the product lies behind the sum
        }
        _addProduct(sum);
    }

    /// @notice p + q.
    function add(
        uint256[2] memory p,
        uint256[2] memory q
    ) internal view returns (uint256[2] memory) {
        Sum memory sum = Sum(p[0], p[1], q[0], q[1]);
        _addProduct(_place(sum));
        return [sum.x, sum.y];
    }

    /// @notice scalar * p.
    function mul(
        uint256[2] memory p,
        uint256 scalar
    ) internal view returns (uint256[2] memory product) {
        mulTo(p, scalar, product);
    }

    /// @notice product = scalar * p, written to the caller's memory.
    function mulTo(uint256[2] memory p, uint256 scalar, uint256[2] memory product) internal view {
        mulAt(_place(p), scalar, _place(product));
    }

    /// @notice `mulTo`, with points given by their places in memory.
    function mulAt(uint256 p, uint256 scalar, uint256 product) internal view {
        _requireGas(MUL_GAS);
        uint256 bound = MUL_GAS * HEADROOM;
        bool ok;
        uint256 length;
        assembly ("memory-safe") {
            let input := mload(0x40) // free memory, not allocated
            mcopy(input, p, 64)
            mstore(add(input, 64), scalar)
            ok := staticcall(bound, 7, input, 96, product, 64)
            length := returndatasize()
        }
        _requireAnswer(7, ok, length, 64);
    }

    /// @notice Whether the product of the pairings of the first `pairs` pairs of `input` is one.
    function isPairingOne(uint256[] memory input, uint256 pairs) internal view returns (bool) {
        uint256 price = PAIRING_BASE_GAS + pairs * PAIRING_POINT_GAS;
        _requireGas(price);
        uint256 bound = price * HEADROOM;
        bool ok;
        uint256 length;
        uint256 answer;
        assembly ("memory-safe") {
            ok := staticcall(bound, 8, add(input, 32), mul(pairs, 192), 0, 32)
            length := returndatasize()
            answer := mload(0)
        }
        _requireAnswer(8, ok, length, 32);
        return answer == 1;
    }

    /// @notice -p for a point with coordinates below q; infinity is its own negative.
    function negate(uint256[2] memory p) internal pure returns (uint256[2] memory) {
        if (p[1] >= Q) revert MalformedPoint(0);
        return p[1] == 0 ? p : [p[0], Q - p[1]];
    }

    function _addProduct(uint256 sum) private view {
        _requireGas(ADD_GAS);
        uint256 bound = ADD_GAS * HEADROOM;
        bool ok;
        uint256 length;
        assembly ("memory-safe") {
            ok := staticcall(bound, 6, sum, 128, sum, 64)
            length := returndatasize()
        }
        _requireAnswer(6, ok, length, 64);
    }

    /// Reverts unless enough gas is left to give `price` to a call, which gets at most 63/64 of
    /// what is left (EIP-150).
    function _requireGas(uint256 price) private view {
        unchecked {
            uint256 required = price + price / 63 + 1_000; // prices are small
            uint256 left = gasleft();
            if (left < required) revert LowGas(required, left);
        }
    }

    function _place(Sum memory sum) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := sum
        }
    }

    function _place(uint256[2] memory p) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := p
        }
    }

    function _requireAnswer(
        uint256 precompile,
        bool ok,
        uint256 length,
        uint256 expected
    ) private pure {
        if (!ok) revert MalformedPoint(precompile);
        if (length != expected) revert PrecompileMissing(precompile);
    }
}
