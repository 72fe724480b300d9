//! Mails as they are sent, and all that becomes of them.
