//! What a template may be made of: texts, the known variables, `if`, `for`, `set`, and filters that only shorten, join
//! and spell.
//!
//! Does not run templates. Why it looks at them first: fuel counts what a template makes after it is made, and a list
//! that holds another twice, thirty times over, is written out before anybody counts. So nothing is let through that
//! makes lists out of lists or repeats them; what is left cannot outgrow the fuel. It also finds mistakes in parts that
//! a trial does not reach.

use std::collections::BTreeSet;

use minijinja::{
    machinery::{
        Span, Token,
        ast::{BinOpKind, CallArg, Expr, Stmt},
        parse, tokenize,
    },
    syntax::SyntaxConfig,
};

use super::template::TemplateError;

/// In bytes.
const LONGEST_TEMPLATE: usize = 4096;
/// Words and signs between `{{` and `}}` or `{%` and `%}`: no expression nests deeper, and so none exhausts the stack.
const MOST_WORDS: usize = 100;
/// The same for statements in one another; each `elif` stands in the one before it.
const MOST_NESTED: usize = 30;

const FILTERS: [&str; 17] = [
    "capitalize",
    "d",
    "default",
    "first",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "reverse",
    "sort",
    "split",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
];
const TESTS: [&str; 10] =
    ["defined", "endingwith", "eq", "even", "in", "ne", "none", "odd", "startingwith", "undefined"];

/// Find what a template that can use `variables` must not be made of.
pub(super) fn check(source: &str, variables: &'static [&'static str]) -> Result<(), TemplateError> {
    if source.trim().is_empty() {
        return Err(TemplateError::new(None, "it is empty; leave it out for the built-in text"));
    }
    if source.len() > LONGEST_TEMPLATE {
        return Err(TemplateError::new(None, format!("it is longer than {LONGEST_TEMPLATE} bytes; shorten it")));
    }
    check_length_of_tags(source)?;
    let root = parse(source, "message", SyntaxConfig::default()).map_err(|error| TemplateError::of(&error))?;
    Check { variables, assigned: BTreeSet::new(), nested: 0 }.statement(&root)
}

fn check_length_of_tags(source: &str) -> Result<(), TemplateError> {
    let mut words = 0;
    for token in tokenize(source, false, SyntaxConfig::default()) {
        // What is wrong with it is said when it is parsed.
        let Ok((token, span)) = token else { break };
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => words = 0,
            _ => words += 1,
        }
        if words > MOST_WORDS {
            return Err(wrong(span, format!("there are more than {MOST_WORDS} words in this tag; split it")));
        }
    }
    Ok(())
}

fn wrong(span: Span, message: impl Into<String>) -> TemplateError {
    TemplateError::new(Some(usize::from(span.start_line)), message)
}

fn no_statement(span: Span, name: &str) -> Result<(), TemplateError> {
    Err(wrong(span, format!("`{{% {name} %}}` is not known here; there are `if`, `for` and `set`")))
}

struct Check<'s> {
    /// The names that a template can use.
    variables: &'static [&'static str],
    /// The names that the template itself gave, so far.
    assigned: BTreeSet<&'s str>,
    /// In how many statements it is.
    nested: usize,
}

impl<'s> Check<'s> {
    fn statements(&mut self, statements: &[Stmt<'s>]) -> Result<(), TemplateError> {
        self.nested += 1;
        if self.nested > MOST_NESTED {
            let message = format!("statements stand more than {MOST_NESTED} deep in one another; split them");
            return Err(TemplateError::new(None, message));
        }
        statements.iter().try_for_each(|statement| self.statement(statement))?;
        self.nested -= 1;
        Ok(())
    }

    /// Without `_`, so that a statement that a feature of the library brings is thought about.
    fn statement(&mut self, statement: &Stmt<'s>) -> Result<(), TemplateError> {
        match statement {
            Stmt::Template(it) => self.statements(&it.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(it) => self.expression(&it.expr),
            Stmt::IfCond(it) => {
                self.expression(&it.expr)?;
                self.statements(&it.true_body)?;
                self.statements(&it.false_body)
            }
            Stmt::ForLoop(it) => {
                if it.recursive {
                    return Err(wrong(it.span(), "a loop cannot be `recursive` here"));
                }
                self.expression(&it.iter)?;
                self.assign(&it.target)?;
                self.optional(it.filter_expr.as_ref())?;
                self.statements(&it.body)?;
                self.statements(&it.else_body)
            }
            Stmt::Set(it) => {
                self.expression(&it.expr)?;
                self.assign(&it.target)
            }
            Stmt::SetBlock(it) => no_statement(it.span(), "set … %}…{% endset"),
            Stmt::WithBlock(it) => no_statement(it.span(), "with"),
            Stmt::AutoEscape(it) => no_statement(it.span(), "autoescape"),
            Stmt::FilterBlock(it) => no_statement(it.span(), "filter"),
            Stmt::Do(it) => no_statement(it.span(), "do"),
        }
    }

    fn assign(&mut self, target: &Expr<'s>) -> Result<(), TemplateError> {
        match target {
            Expr::Var(it) => {
                self.assigned.insert(it.id);
                Ok(())
            }
            Expr::List(it) => it.items.iter().try_for_each(|item| self.assign(item)),
            other => Err(wrong(other.span(), "only a plain name can be given a value")),
        }
    }

    fn expression(&self, expression: &Expr<'s>) -> Result<(), TemplateError> {
        match expression {
            Expr::Const(_) => Ok(()),
            Expr::Var(it) => self.variable(it.id, it.span()),
            Expr::GetAttr(it) => self.expression(&it.expr),
            Expr::GetItem(it) => self.both(&it.expr, &it.subscript_expr),
            Expr::Slice(it) => {
                self.expression(&it.expr)?;
                let ends = [&it.start, &it.stop, &it.step];
                ends.into_iter().try_for_each(|end| self.optional(end.as_ref()))
            }
            Expr::UnaryOp(it) => self.expression(&it.expr),
            Expr::BinOp(it) if matches!(it.op, BinOpKind::Add | BinOpKind::Mul | BinOpKind::Pow) => {
                Err(wrong(it.span(), "`+`, `*` and `**` are not known here; `~` joins texts"))
            }
            Expr::BinOp(it) => self.both(&it.left, &it.right),
            Expr::Compare(it) => {
                self.expression(&it.expr)?;
                it.ops.iter().try_for_each(|operand| self.expression(&operand.expr))
            }
            Expr::IfExpr(it) => {
                self.both(&it.test_expr, &it.true_expr)?;
                self.optional(it.false_expr.as_ref())
            }
            Expr::Filter(it) => {
                known("filter", it.name, &FILTERS, it.span())?;
                self.optional(it.expr.as_ref())?;
                self.arguments(&it.args, it.span())
            }
            Expr::Test(it) => {
                known("test", it.name, &TESTS, it.span())?;
                self.expression(&it.expr)?;
                self.arguments(&it.args, it.span())
            }
            Expr::List(it) => constants(&it.items, it.span()),
            Expr::Tuple(it) => constants(&it.items, it.span()),
            Expr::Map(it) => Err(wrong(it.span(), "`{…}` is not known here")),
            Expr::Call(it) => {
                Err(wrong(it.span(), "nothing can be called here; there are filters, as in `tag | upper`"))
            }
        }
    }

    fn both(&self, one: &Expr<'s>, other: &Expr<'s>) -> Result<(), TemplateError> {
        self.expression(one)?;
        self.expression(other)
    }

    fn optional(&self, expression: Option<&Expr<'s>>) -> Result<(), TemplateError> {
        expression.map_or(Ok(()), |expression| self.expression(expression))
    }

    fn arguments(&self, arguments: &[CallArg<'s>], span: Span) -> Result<(), TemplateError> {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) => self.expression(value),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                Err(wrong(span, "`*` and `**` in front of arguments are not known here"))
            }
        })
    }

    fn variable(&self, name: &str, span: Span) -> Result<(), TemplateError> {
        if self.variables.contains(&name) || self.assigned.contains(name) || name == "loop" {
            return Ok(());
        }
        Err(wrong(span, format!("`{name}` is not a variable (there are: {})", self.variables.join(", "))))
    }
}

fn known(kind: &str, name: &str, all: &[&str], span: Span) -> Result<(), TemplateError> {
    if all.contains(&name) {
        return Ok(());
    }
    Err(wrong(span, format!("`{name}` is not a {kind} here (there are: {})", all.join(", "))))
}

/// A list to compare with is as long as it is written; one with variables in it could hold another.
fn constants(items: &[Expr<'_>], span: Span) -> Result<(), TemplateError> {
    if items.iter().all(|item| matches!(item, Expr::Const(_))) {
        return Ok(());
    }
    Err(wrong(span, "only texts and numbers can stand in a list here"))
}
