//! The policy by itself, case by case.
