//! The error and the result that users' code returns.

/// Any error: what tasks and services of an application may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of supervised code: `()` or any error, unless the parameters say otherwise.
///
/// # Examples
///
/// ```
/// fn port(text: &str) -> taskgrove::Result<u16> {
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(port("80").unwrap(), 80);
/// assert!(port("http").unwrap_err().is::<std::num::ParseIntError>());
/// ```
pub type Result<T = (), E = BoxError> = std::result::Result<T, E>;
