//! Query parameters: each may be taken once by its handler; one that nobody takes is refused by name.

use axum::extract::Query;
use axum::http::Uri;

use super::body::unknown;
use super::problem::{INVALID_VALUE, Problem, UNKNOWN_PARAMETER};
use super::wire::Wait;
use crate::core::time::Timestamp;

/// The parameters of one request that are not taken yet.
pub struct Parameters {
    rest: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl Parameters {
    pub fn of(uri: &Uri) -> Result<Parameters, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(rest) = pairs.map_err(|e| Problem::new(INVALID_VALUE, e.to_string()))?;
        Ok(Parameters { rest, asked: Vec::new() })
    }

    /// All values of `name`, which may be repeated and hold several, separated by commas.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        self.asked.push(name);
        let taken = self.rest.extract_if(.., |(key, _)| key == name);
        let values: Vec<String> = taken.map(|(_, value)| value).collect();
        let parts = values.iter().flat_map(|value| value.split(','));
        parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// The value of `name`, if it is there and not empty.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.asked.push(name);
        let mut taken: Vec<_> = self.rest.extract_if(.., |(key, _)| key == name).collect();
        match taken.len() {
            0 | 1 => Ok(taken.pop().map(|(_, value)| value).filter(|value| !value.is_empty())),
            _ => Err(Problem::new(INVALID_VALUE, format!("`{name}` is given more than once"))),
        }
    }

    /// The value of `name` as `T` reads it.
    pub fn value<T: std::str::FromStr>(&mut self, name: &'static str, kind: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = |_| Problem::new(INVALID_VALUE, format!("`{name}` is `{text}`, which is not {kind}"));
        text.parse().map(Some).map_err(wrong)
    }

    /// A count from 1 to `max`.
    pub fn count(&mut self, name: &'static str, default: usize, max: usize) -> Result<usize, Problem> {
        Ok(self.count_if(name, max)?.unwrap_or(default))
    }

    /// A count from 1 to `max`, if it is there.
    pub fn count_if(&mut self, name: &'static str, max: usize) -> Result<Option<usize>, Problem> {
        match self.value::<usize>(name, "a number")? {
            Some(count) if !(1..=max).contains(&count) => {
                Err(Problem::new(INVALID_VALUE, format!("`{name}` is {count}; 1 to {max} are taken")))
            }
            count => Ok(count),
        }
    }

    /// A switch: absent, `0` and `false` are off; present, `1` and `true` are on.
    pub fn switch(&mut self, name: &'static str) -> Result<bool, Problem> {
        self.asked.push(name);
        let mut on = false;
        for (_, value) in self.rest.extract_if(.., |(key, _)| key == name) {
            on = match value.as_str() {
                "" | "1" | "true" => true,
                "0" | "false" => false,
                other => return Err(Problem::new(INVALID_VALUE, format!("`{name}` is `{other}`; 0 or 1 is taken"))),
            };
        }
        Ok(on)
    }

    /// An instant: RFC 3339, or a duration before `now`.
    pub fn since(&mut self, name: &'static str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        since(&text, now).map(Some).map_err(|e| Problem::new(INVALID_VALUE, format!("`{name}`: {e}")))
    }

    /// Refuses what nobody has taken.
    pub fn finish(self) -> Result<(), Problem> {
        match self.rest.first() {
            None => Ok(()),
            Some((key, _)) => Err(Problem::new(UNKNOWN_PARAMETER, unknown("parameter", key, &self.asked))),
        }
    }
}

/// An instant: RFC 3339, or a duration before `now`.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    // In a query `+02:00` may arrive as ` 02:00`.
    if let Ok(at) = text.replace(' ', "+").parse() {
        return Ok(at);
    }
    let wait = Wait::parse(text)
        .map_err(|_| format!("`{text}` is neither a duration like 2h nor a time like 2026-11-21T09:00:00Z"))?;
    Ok(now - wait.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/v1/jobs?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn lists_may_be_repeated_and_separated() {
        let mut of = parameters("state=a,b&state=%20c&state=");
        assert_eq!(of.list("state"), ["a", "b", "c"]);
        assert_eq!(of.finish(), Ok(()));
    }

    #[test]
    fn values_are_bounded_and_single() {
        assert_eq!(parameters("limit=3").count("limit", 9, 10), Ok(3));
        assert_eq!(parameters("").count("limit", 9, 10), Ok(9));
        for wrong in ["limit=0", "limit=11", "limit=x", "limit=1&limit=2"] {
            assert_eq!(parameters(wrong).count("limit", 9, 10).unwrap_err().kind, INVALID_VALUE, "{wrong}");
        }
        assert_eq!(parameters("follow").switch("follow"), Ok(true));
        assert_eq!(parameters("follow=0").switch("follow"), Ok(false));
        assert!(parameters("follow=maybe").switch("follow").is_err());
    }

    #[test]
    fn what_nobody_takes_is_refused_with_the_nearest() {
        let mut of = parameters("lmit=3");
        assert_eq!(of.count("limit", 9, 10), Ok(9));
        let problem = of.finish().unwrap_err();
        assert_eq!(problem.kind, UNKNOWN_PARAMETER);
        assert!(problem.detail.contains("did you mean `limit`?"), "{}", problem.detail);
    }

    #[test]
    fn since_is_an_instant_or_a_duration() {
        let now = Timestamp(10_000_000);
        assert_eq!(since("2h", now), Ok(Timestamp(10_000_000 - 7_200_000)));
        assert_eq!(since("1970-01-01T00:00:01Z", now), Ok(Timestamp(1000)));
        assert_eq!(since("1970-01-01T02:00:01 02:00", now), Ok(Timestamp(1000)));
        assert!(since("yesterday", now).is_err());
    }
}
