// SPDX-License-Identifier: MIT OR Apache-2.0

pragma solidity 0.8.19;

/// @title Verifies claims about runs of one BPF program.
/// @notice `verify` returns only if the proof shows that the program ran as claimed. It shows neither who asks nor when:
/// the same proof is accepted any number of times, so a caller that acts on a claim must remember which ones it used.
/// @dev No owner, no storage, no upgrade: all pins are constants of this code or immutable. The pairing check is in a
/// second contract, which snark-verifier generated, and which reduces its inputs modulo the field instead of refusing
/// them. This contract lets exactly one encoding of a proof through.
contract ZkbpfVerifier {
    /// @notice How one run went.
    struct Claim {
        /// Poseidon hash of the commitment of the public input's column.
        bytes32 inputCommitment;
        /// The same of the public output's.
        bytes32 outputCommitment;
        /// The run used its budget up: it neither halted nor trapped.
        bool stoppedAtBudget;
        /// 0: stopped at the budget; 1: halted; 2: trapped.
        uint8 status;
        /// The result, if it halted.
        uint64 r0;
        /// Executed instructions.
        uint64 steps;
        /// Compute units used.
        uint64 computeUnits;
        /// Which trap, if it trapped.
        uint8 trapKind;
        /// The slot of the instruction that trapped.
        uint32 trapPc;
        /// The slot that would have run next, if it stopped at the budget.
        uint32 pcOut;
    }

    /// @notice The calldata does not have the one layout and length that the function takes.
    error InvalidEncoding();
    /// @notice A commitment is no field element, or the claim names an outcome that no run has.
    error InvalidClaim();
    /// @notice A limb or a coordinate of the accumulator is not in its range, or a point of it is the identity.
    error InvalidAccumulator();
    /// @notice A word of the proof is not below its field's modulus, or a point of it is the identity.
    error InvalidProof();
    /// @notice The proof is well formed but does not prove the claim.
    error ProofRejected();
    /// @notice There is other code at the verifier's address than expected.
    error WrongVerifier();
    /// @notice The chain lacks a precompiled contract: modular exponentiation, or one of those for BN254.
    error MissingPrecompile();

    /// @notice Pins what was proved: program, entry, initial private memory, budget, and the chunk circuit's key.
    uint256 public constant SETUP = __SETUP__;
    /// @notice Names the root circuit's key.
    bytes32 public constant KEY_ID = __KEY_ID__;
    /// @notice The program's slots.
    uint32 public constant SLOTS = __SLOTS__;
    /// @notice True if the key comes from a test setup whose secret is known: then anybody can prove anything.
    bool public constant INSECURE_TEST_SETUP = __INSECURE__;

    /// @notice The generated contract that checks the proof.
    address public immutable verifier;
    /// @notice The hash of its code.
    bytes32 public immutable verifierCodeHash;

    /// The order of the curve: public values and scalars are below it.
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    /// The field that the curve's coordinates are in.
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    /// The proof: points, scalars, and the two points of the opening.
    uint256 private constant POINT_BYTES = __POINT_BYTES__;
    uint256 private constant SCALAR_BYTES = __SCALAR_BYTES__;
    uint256 private constant PROOF_BYTES = __PROOF_BYTES__;

    /// Calldata of `claimDigest`: the selector and ten words.
    uint256 private constant CLAIM_BYTES = 4 + 10 * 32;
    /// Where the proof begins in the calldata of `verify`: claim, accumulator, and the proof's offset and length.
    uint256 private constant PROOF_AT = CLAIM_BYTES + 12 * 32 + 2 * 32;

    /// @param verifier_ the generated contract, deployed before
    /// @param codeHash the hash of its code, from the compiler's output and not from the chain
    constructor(address verifier_, bytes32 codeHash) {
        if (verifier_.code.length == 0 || verifier_.codehash != codeHash) revert WrongVerifier();
        if (!_hasPrecompiles()) revert MissingPrecompile();
        verifier = verifier_;
        verifierCodeHash = codeHash;
    }

    /// @notice Returns true if the proof is valid for the claim, and reverts otherwise.
    /// @param claim how the run went
    /// @param accumulator two curve points, lhs and rhs: x and y of each in three limbs of 88 bits, lowest first
    /// @param proof the root proof
    function verify(Claim calldata claim, uint256[12] calldata accumulator, bytes calldata proof)
        external
        view
        returns (bool)
    {
        uint256 offset;
        assembly ("memory-safe") {
            offset := proof.offset
        }
        // With the offset fixed, no part of the calldata is read twice and none is left over.
        if (msg.data.length != PROOF_AT + PROOF_BYTES || proof.length != PROOF_BYTES || offset != PROOF_AT) {
            revert InvalidEncoding();
        }
        uint256 digest = _claimDigest(claim);
        if (!_isAccumulator(accumulator)) revert InvalidAccumulator();
        if (!_isProof(proof)) revert InvalidProof();

        // The address is ours, and so is every byte of the call: accumulator, digest, proof, without a selector.
        address target = verifier;
        if (target.codehash != verifierCodeHash) revert WrongVerifier();
        bool accepted;
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, accumulator, 0x180)
            mstore(add(data, 0x180), digest)
            calldatacopy(add(data, 0x1a0), proof.offset, PROOF_BYTES)
            accepted := staticcall(gas(), target, data, add(0x1a0, PROOF_BYTES), 0, 0)
            accepted := and(accepted, iszero(returndatasize()))
        }
        if (!accepted) revert ProofRejected();
        return true;
    }

    /// @notice The public value that stands for the claim; reverts for a claim that `verify` refuses.
    function claimDigest(Claim calldata claim) external pure returns (uint256) {
        if (msg.data.length != CLAIM_BYTES) revert InvalidEncoding();
        return _claimDigest(claim);
    }

    function _claimDigest(Claim calldata claim) private pure returns (uint256) {
        uint256 input = uint256(claim.inputCommitment);
        uint256 output = uint256(claim.outputCommitment);
        if (input >= R || output >= R) revert InvalidClaim();

        // Each field is read once, with its range checked, into the place that it has in the digest.
        uint256 r0 = claim.r0;
        uint256 pcOut = claim.pcOut;
        uint256 trap = uint256(claim.trapPc) | (uint256(claim.trapKind) << 32);
        uint256 status = claim.status;
        bool stopped = claim.stoppedAtBudget;
        if (stopped) {
            if (status != 0 || r0 != 0 || trap != 0 || pcOut > SLOTS) revert InvalidClaim();
        } else if (status == 1) {
            if (trap != 0 || pcOut != 0) revert InvalidClaim();
        } else {
            if (status != 2 || r0 != 0 || pcOut != 0) revert InvalidClaim();
        }
        uint256 ending1 = r0 | (uint256(claim.steps) << 64) | (uint256(claim.computeUnits) << 128);
        uint256 ending2 = pcOut | (trap << 32) | (status << 72) | (stopped ? 1 << 80 : 0);
        return _hash(SETUP, input, output, ending1, ending2);
    }

    /// Limbs are below 2^88 and make coordinates below Q, so each point has one encoding.
    function _isAccumulator(uint256[12] calldata accumulator) private pure returns (bool ok) {
        assembly ("memory-safe") {
            function coordinate(at) -> value, valid {
                let low := calldataload(at)
                let middle := calldataload(add(at, 0x20))
                let high := calldataload(add(at, 0x40))
                // Below 2^80, so that the sum is below 2^256.
                valid := and(and(lt(low, shl(88, 1)), lt(middle, shl(88, 1))), lt(high, shl(80, 1)))
                value := add(add(low, shl(88, middle)), shl(176, high))
                valid := and(valid, lt(value, Q))
            }
            function point(at) -> valid {
                let x, validX := coordinate(at)
                let y, validY := coordinate(add(at, 0x60))
                valid := and(and(validX, validY), gt(or(x, y), 0))
            }
            ok := and(point(accumulator), point(add(accumulator, 0xc0)))
        }
    }

    /// That points are on the curve is for the verifier to check.
    function _isProof(bytes calldata proof) private pure returns (bool ok) {
        assembly ("memory-safe") {
            function points(at, end) -> valid {
                valid := 1
                for {} lt(at, end) { at := add(at, 0x40) } {
                    let x := calldataload(at)
                    let y := calldataload(add(at, 0x20))
                    valid := and(valid, and(and(lt(x, Q), lt(y, Q)), gt(or(x, y), 0)))
                }
            }
            let scalars := add(proof.offset, POINT_BYTES)
            let opening := add(scalars, SCALAR_BYTES)
            ok := and(points(proof.offset, scalars), points(opening, add(proof.offset, PROOF_BYTES)))
            for { let at := scalars } lt(at, opening) { at := add(at, 0x20) } { ok := and(ok, lt(calldataload(at), R)) }
        }
    }

    /// A call to an address without code succeeds and returns nothing, which the generated verifier does not notice.
    function _hasPrecompiles() private view returns (bool ok) {
        assembly {
            let m := mload(0x40)
            // 3 ^ 2 mod 5
            mstore(m, 0x20)
            mstore(add(m, 0x20), 0x20)
            mstore(add(m, 0x40), 0x20)
            mstore(add(m, 0x60), 3)
            mstore(add(m, 0x80), 2)
            mstore(add(m, 0xa0), 5)
            ok := staticcall(gas(), 5, m, 0xc0, m, 0x20)
            ok := and(ok, and(eq(returndatasize(), 0x20), eq(mload(m), 4)))
            // G + G and 2 G
            mstore(m, 1)
            mstore(add(m, 0x20), 2)
            mstore(add(m, 0x40), 1)
            mstore(add(m, 0x60), 2)
            ok := and(ok, staticcall(gas(), 6, m, 0x80, m, 0x40))
            ok := and(ok, eq(returndatasize(), 0x40))
            mstore(add(m, 0x40), 1)
            mstore(add(m, 0x60), 2)
            mstore(add(m, 0x80), 2)
            ok := and(ok, staticcall(gas(), 7, add(m, 0x40), 0x60, add(m, 0x40), 0x40))
            ok := and(ok, eq(returndatasize(), 0x40))
            ok := and(ok, and(eq(mload(m), mload(add(m, 0x40))), eq(mload(add(m, 0x20)), mload(add(m, 0x60)))))
            ok := and(ok, gt(mload(m), 1))
            // The empty product of pairings
            ok := and(ok, staticcall(gas(), 8, m, 0, m, 0x20))
            ok := and(ok, and(eq(returndatasize(), 0x20), eq(mload(m), 1)))
        }
    }

    /// Poseidon of five field elements, as snark-verifier's transcript hashes them: width 3, rate 2, 8 full and 57
    /// partial rounds. The exporter writes the rounds, in the form with sparse matrices, from the Rust implementation's
    /// constants.
    function _hash(uint256 a, uint256 b, uint256 c, uint256 d, uint256 e) private pure returns (uint256 digest) {
        assembly ("memory-safe") {
            function full(s0, s1, s2, c0, c1, c2) -> o0, o1, o2 {
__FULL_ROUND__
            }
            function permute(s0, s1, s2) -> o0, o1, o2 {
__PERMUTATION__
            }
            // The capacity begins as 2^64; the fifth element is padded with a one.
            let s0, s1, s2 := permute(shl(64, 1), a, b)
            s0, s1, s2 := permute(s0, addmod(s1, c, R), addmod(s2, d, R))
            s0, s1, s2 := permute(s0, addmod(s1, e, R), addmod(s2, 1, R))
            digest := s1
        }
    }
}
