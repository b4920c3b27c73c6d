//! Transfers, from request to messages.
