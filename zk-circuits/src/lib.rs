//! zk-circuits
