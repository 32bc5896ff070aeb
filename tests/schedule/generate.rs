//! Random expressions: the text, and beside it what the text means, as lists of plain values.
//! Nothing of the parser under test is used to make them.

/// A small generator of random numbers (splitmix64): the same seed gives the same cases for ever.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `first` to `last`, both included.
    pub fn within(&mut self, first: i64, last: i64) -> i64 {
        first + (self.next() % (last - first + 1) as u64) as i64
    }

    pub fn chance(&mut self, percent: i64) -> bool {
        self.within(1, 100) <= percent
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.within(0, items.len() as i64 - 1) as usize]
    }
}

/// What an element of one of the day fields means.
#[derive(Clone, Debug, PartialEq)]
pub enum Day {
    /// A day of the month.
    Date(i64),
    /// `L-n`; 0 is `L`.
    BeforeLast(i64),
    /// `nW`
    NearestWorking(i64),
    /// `LW`
    LastWorking,
    /// 0 is Sunday.
    Weekday(i64),
    /// `weekday#n`
    Nth(i64, i64),
    /// `weekdayL`
    LastWeekday(i64),
}

#[derive(Clone, Debug)]
pub struct Expression {
    pub text: String,
    pub seconds: Vec<i64>,
    pub minutes: Vec<i64>,
    pub hours: Vec<i64>,
    pub dates: Vec<Day>,
    pub months: Vec<i64>,
    pub weekdays: Vec<Day>,
    pub both_day_fields: bool,
    pub wildcard: bool,
    /// Uses what croner reads in another way, or not at all.
    pub own_dialect: bool,
}

const MONTHS: [&str; 12] = ["jan", "FEB", "Mar", "APR", "may", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "mon", "TUE", "wed", "Thu", "FRI", "SAT"];

/// Text of one field, its values in no order, and whether croner would refuse it.
struct Field {
    text: String,
    values: Vec<i64>,
    own_dialect: bool,
}

impl Random {
    /// A field of plain values. `likely` are values to prefer, such as the hours of changes.
    fn field(&mut self, first: i64, last: i64, likely: &[i64], star_percent: i64) -> Field {
        if self.chance(star_percent) {
            if self.chance(60) {
                return Field { text: "*".into(), values: (first..=last).collect(), own_dialect: false };
            }
            let step = self.within(1, (last - first) / 2);
            let values = (first..=last).step_by(step as usize).collect();
            return Field { text: format!("*/{step}"), values, own_dialect: false };
        }
        let mut field = Field { text: String::new(), values: Vec::new(), own_dialect: false };
        for index in 0..self.within(1, 3) {
            let value =
                if !likely.is_empty() && self.chance(60) { *self.pick(likely) } else { self.within(first, last) };
            let text = match self.within(1, 10) {
                1..=6 => {
                    field.values.push(value);
                    format!("{value}")
                }
                7..=8 => self.range(first, last, value, &mut field),
                9 => {
                    let step = self.within(1, last / 2);
                    field.values.extend((value..=last).step_by(step as usize));
                    field.own_dialect = true;
                    format!("{value}/{step}")
                }
                _ => {
                    let end = self.within(value, last);
                    let step = self.within(1, last / 2);
                    field.values.extend((value..=end).step_by(step as usize));
                    format!("{value}-{end}/{step}")
                }
            };
            field.text += &format!("{}{text}", if index > 0 { "," } else { "" });
        }
        field
    }

    fn range(&mut self, first: i64, last: i64, value: i64, field: &mut Field) -> String {
        let end = self.within(first, last);
        if end >= value {
            field.values.extend(value..=end);
        } else {
            field.own_dialect = true; // wraps around
            field.values.extend((value..=last).chain(first..=end));
        }
        format!("{value}-{end}")
    }

    fn dates(&mut self) -> (String, Vec<Day>, bool) {
        let mut items = Vec::new();
        let mut texts = Vec::new();
        for _ in 0..self.within(1, 3) {
            let (text, item) = match self.within(1, 9) {
                1 => ("L".to_owned(), Day::BeforeLast(0)),
                2 => {
                    let back = self.within(1, 12);
                    (format!("L-{back}"), Day::BeforeLast(back))
                }
                3 => {
                    let day = self.within(1, 31);
                    (format!("{day}W"), Day::NearestWorking(day))
                }
                4 => ("LW".to_owned(), Day::LastWorking),
                _ => {
                    let day = self.within(1, 31);
                    (format!("{day}"), Day::Date(day))
                }
            };
            texts.push(text);
            items.push(item);
        }
        let own = items.iter().any(|item| matches!(item, Day::BeforeLast(1..)))
            || items.len() > 1 && items.iter().any(|item| !matches!(item, Day::Date(_) | Day::BeforeLast(0)));
        (texts.join(","), items, own)
    }

    fn weekdays(&mut self) -> (String, Vec<Day>) {
        let mut items = Vec::new();
        let mut texts = Vec::new();
        for _ in 0..self.within(1, 2) {
            let weekday = self.within(0, 7);
            let name =
                if weekday < 7 && self.chance(50) { WEEKDAYS[weekday as usize].into() } else { weekday.to_string() };
            let weekday = weekday % 7;
            let (text, item) = match self.within(1, 6) {
                1 => {
                    let nth = self.within(1, 5);
                    (format!("{name}#{nth}"), Day::Nth(weekday, nth))
                }
                2 => (format!("{name}L"), Day::LastWeekday(weekday)),
                _ => (name, Day::Weekday(weekday)),
            };
            texts.push(text);
            items.push(item);
        }
        (texts.join(","), items)
    }

    /// A whole expression; `rare_days` of a hundred restrict the days strongly.
    pub fn expression(&mut self, with_seconds: bool, rare_days: i64) -> Expression {
        let second = self.field(0, 59, &[0, 30], 30);
        let minute = self.field(0, 59, &[0, 15, 30, 45, 59], 30);
        let hour = self.field(0, 23, &[0, 1, 2, 3, 22, 23], 30);
        let mut own_dialect = second.own_dialect && with_seconds || minute.own_dialect || hour.own_dialect;
        let (mut date_text, mut dates) = ("*".to_owned(), (1..=31).map(Day::Date).collect::<Vec<_>>());
        let (mut weekday_text, mut weekdays) = ("*".to_owned(), (0..7).map(Day::Weekday).collect::<Vec<_>>());
        if self.chance(rare_days) {
            let own;
            (date_text, dates, own) = self.dates();
            own_dialect |= own;
        } else if self.chance(15) {
            let step = self.within(2, 6);
            date_text = format!("*/{step}");
            dates = (1..=31).step_by(step as usize).map(Day::Date).collect();
            own_dialect = true;
        }
        if self.chance(rare_days) {
            (weekday_text, weekdays) = self.weekdays();
        }
        let (mut month_text, mut months) = ("*".to_owned(), (1..=12).collect::<Vec<_>>());
        if self.chance(rare_days / 2) {
            let month = self.field(1, 12, &[2, 3, 10, 11], 10);
            own_dialect |= month.own_dialect;
            (month_text, months) = (month.text, month.values);
            if let Ok(number @ 1..=12) = month_text.parse::<usize>() {
                month_text = MONTHS[number - 1].into();
            }
        }
        let both_day_fields = date_text.starts_with('*') || weekday_text.starts_with('*');
        let five = format!("{} {} {date_text} {month_text} {weekday_text}", minute.text, hour.text);
        Expression {
            text: if with_seconds { format!("{} {five}", second.text) } else { five },
            seconds: if with_seconds { second.values } else { vec![0] },
            wildcard: minute.text.starts_with('*') || hour.text.starts_with('*'),
            minutes: minute.values,
            hours: hour.values,
            dates,
            months,
            weekdays,
            both_day_fields,
            own_dialect,
        }
    }
}
