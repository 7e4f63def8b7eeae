//! The mesh warp: the portrait itself, moved by the face mesh, without a network.
