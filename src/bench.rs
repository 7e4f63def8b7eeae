//! Measuring: how old the picture is where it is looked at, what it waited for, and what it lost on its way.
//!
//! | part | question |
//! |---|---|
//! | [`reader`], [`watch`] | what arrives at the far end of a device, stream or window, and how old it is |
//! | [`e2e`], [`way`] | does that agree with what the pipeline says of itself |
//! | [`pattern`] | something to give to any other program, so that it can be watched too |
//! | [`lag`] | what time stamps cannot see: motion that a filter delays or weakens |
//! | [`predict`] | what looking ahead takes away of it, and what that costs |
//! | [`scenario`], [`record`], [`page`] | fixed scenes, their figures, and a page with plots |
//! | [`compare`] | is one recording really faster than another |
//! | [`degrade`] | how much a picture may suffer before its code is lost |
//! | [`memory`] | whether memory stays where it was |
//! | [`capacity`], [`load`] | how many users a machine makes pictures for: a model, and the same for real |
//! | [`cost`] | what measuring itself costs |

pub mod capacity;
pub mod compare;
pub mod cost;
pub mod degrade;
pub mod e2e;
pub mod lag;
pub mod load;
pub mod mark;
pub mod memory;
pub mod page;
pub mod pattern;
pub mod predict;
pub mod reader;
pub mod record;
pub mod samples;
pub mod scenario;
mod stage;
pub mod watch;
pub mod way;
