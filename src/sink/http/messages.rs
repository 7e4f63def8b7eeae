//! What the program has told its user, kept for the page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Messages that are kept; the oldest goes first.
const MAX_MESSAGES: usize = 100;
/// Characters of a message that are kept.
const MAX_CHARS: usize = 400;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Counts messages from 1.
    pub number: u64,
    /// Whether it is a warning or an error.
    pub is_warning: bool,
    /// The text.
    pub text: String,
}

/// The last messages of a run, written by the program's logger and read by the control page.
#[derive(Debug, Default)]
pub struct MessageLog {
    kept: Mutex<(u64, VecDeque<Message>)>,
}

impl MessageLog {
    /// Adds a message.
    pub fn push(&self, is_warning: bool, text: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, messages) = &mut *kept;
        *count += 1;
        if messages.len() == MAX_MESSAGES {
            messages.pop_front();
        }
        messages.push_back(Message { number: *count, is_warning, text: text.chars().take(MAX_CHARS).collect() });
    }

    /// The messages after number `seen`, oldest first.
    pub fn after(&self, seen: u64) -> Vec<Message> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().filter(|message| message.number > seen).cloned().collect()
    }
}
