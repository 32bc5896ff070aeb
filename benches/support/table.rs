//! The table: each figure with its target and its ratio to something that was measured in the same run.

/// Prints the head of a part.
pub fn head(title: &str) {
    println!("\n{title}\n{:<44}{:>14}{:>14}  ratio to", "", "measured", "target");
}

/// One figure.
pub struct Row<'a> {
    pub name: &'a str,
    /// Formatted with its unit.
    pub measured: String,
    pub target: &'a str,
    /// To what, and the ratio.
    pub ratio: Option<(f64, String)>,
}

impl Row<'_> {
    pub fn print(&self) {
        let ratio = self.ratio.as_ref().map_or_else(String::new, |(ratio, what)| format!("{ratio:.2} {what}"));
        println!("{:<44}{:>14}{:>14}  {ratio}", self.name, self.measured, self.target);
    }
}

/// A figure without a target, for information.
pub fn note(name: &str, measured: String) {
    Row { name, measured, target: "", ratio: None }.print();
}

/// `12345.6` as `12,346 /s`.
pub fn rate(per_second: f64) -> String {
    let digits = format!("{per_second:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + " /s"
}

pub fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}
