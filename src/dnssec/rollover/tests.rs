//! No validator ever sees a broken chain of trust, whatever its caches hold; and what is ordered
//! comes to an end.

mod cases;
mod world;

use proptest::prelude::*;

use self::world::{Op, World};
use crate::dnssec::{Algorithm, Layout, Role};

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Wait),
        4 => Just(Op::ParentSwaps),
        3 => Just(Op::ParentAdds),
        2 => Just(Op::Report),
        3 => prop_oneof![Just(Role::Ksk), Just(Role::Zsk), Just(Role::Csk)].prop_map(Op::Roll),
        1 => prop_oneof![Just(Layout::Csk), Just(Layout::KskZsk)].prop_map(Op::Layout),
        1 => Just(Op::Layout(Layout::Insecure)),
        1 => prop_oneof![Just(Algorithm::EcdsaP256), Just(Algorithm::Ed25519)]
            .prop_map(Op::Algorithm),
        1 => (1u64..25).prop_map(Op::DnskeyTtl),
        1 => (1u64..40).prop_map(Op::ZoneTtl),
        1 => prop::option::of(60u64..400).prop_map(Op::ZskLifetime),
        1 => prop::option::of(80u64..400).prop_map(Op::KskLifetime),
        1 => prop_oneof![Just(Role::Ksk), Just(Role::Zsk), Just(Role::Csk)].prop_map(Op::Import),
        1 => Just(Op::DropImports),
    ]
}

fn times() -> impl Strategy<Value = [u64; 4]> {
    [0u64..10, 1u64..30, 0u64..10, 1u64..25]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// O10: nothing is bogus, before, during and after any roll-over.
    #[test]
    fn o10_every_validator_can_validate_at_every_instant(
        times in times(),
        ops in prop::collection::vec((0u64..40, op()), 1..60),
    ) {
        let mut world = World::new(times);
        for (wait, op) in ops {
            world.pass(wait);
            world.apply(&op);
        }
    }

    /// Whatever happened before: once nobody interferes and the parent follows, only the wanted keys
    /// are left, and all of them serve.
    #[test]
    fn o10_every_roll_over_ends(
        times in times(),
        ops in prop::collection::vec((0u64..40, op()), 1..40),
    ) {
        let mut world = World::new(times);
        for (wait, op) in ops {
            world.pass(wait);
            world.apply(&op);
        }
        world.apply(&Op::ZskLifetime(None));
        world.apply(&Op::KskLifetime(None));
        world.settle();
        world.assert_settled();
    }
}
