package authz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// The decision documents. A policy defines both; what else its packages define is its own affair.
const (
	connectQuery   = "data.sallyport.connect.decision"
	statementQuery = "data.sallyport.statement.decision"
	// problemsQuery is optional: what a policy finds wrong with its own data, a set of strings. It sees no input. While it is not empty
	// the policy is not taken into use.
	problemsQuery = "data.sallyport.problems"
)

// problemsTimeout bounds the look at the data, which happens once per load and may be long: data can list every account there is.
const problemsTimeout = 10 * time.Second

// Policy is one compiled policy with its data, and what it has decided. It is immutable, but for that.
type Policy struct {
	revision  string
	files     []string
	cacheable bool
	nameless  bool // a statement decision depends neither on a text's fingerprint nor on its normalized form
	compiler  *ast.Compiler
	reads     reads      // what a statement decision depends on beside the statement
	decisions *decisions // made by it
	connects  *connects  // the same of connections; nil: those follow from more than they were asked with
	rules     *rules     // of the statement decision
	connect   rego.PreparedEvalQuery
	statement rego.PreparedEvalQuery
	problems  *rego.PreparedEvalQuery // nil: the policy has no word on its data
}

// Revision identifies the files the policy was made of: a short hash of their names and contents.
func (p *Policy) Revision() string { return p.revision }

// Cacheable says that a statement decision depends on nothing but its input: no clock, no network, no randomness.
func (p *Policy) Cacheable() bool { return p.cacheable }

// ByFacts says that a statement decision is remembered, and for all texts with the same facts, whatever they are called: who has a text's facts
// need not wait for its names to ask.
func (p *Policy) ByFacts() bool { return p.cacheable && p.nameless }

// compile makes a policy of its source.
func compile(s source, network bool) (*Policy, error) {
	p, err := s.compile(policyCapabilities(network), ast.CompileErrorLimitDefault)
	if err != nil {
		return nil, err
	}
	if p.problems == nil {
		return p, nil
	}
	found, err := p.findProblems()
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, fmt.Errorf("policy data: %s", strings.Join(found, "; "))
	}
	return p, nil
}

// compile readies the queries; what the policy finds wrong with its data is not asked yet. Compilation is strict (unused variables and
// imports are errors), and the type checker knows the input document: a field that does not exist is an error here, not a rule that
// never holds.
func (s source) compile(capabilities *ast.Capabilities, errorLimit int) (*Policy, error) {
	modules, err := parseModules(s.modules, capabilities)
	if err != nil {
		return nil, err
	}
	store := s.store()
	compiler := newCompiler(capabilities).SetErrorLimit(errorLimit)
	err = inStore(store, compiler, func(storage.Transaction) error {
		compiler.Compile(modules)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if compiler.Failed() {
		return nil, compiler.Errors
	}
	p := &Policy{revision: s.revision, files: s.files, compiler: compiler}
	if p.connect, err = prepare(compiler, store, connectQuery); err != nil {
		return nil, err
	}
	if p.statement, err = prepare(compiler, store, statementQuery); err != nil {
		return nil, err
	}
	p.cacheable = deterministic(compiler, ast.MustParseRef(statementQuery))
	p.nameless = !readsNames(compiler, ast.MustParseRef(statementQuery))
	p.reads, p.decisions = readsOf(compiler, ast.MustParseRef(statementQuery)), newDecisions()
	p.connects = newConnects(compiler)
	p.rules = newRules(compiler, ast.MustParseRef(statementQuery))
	if len(compiler.GetRules(ast.MustParseRef(problemsQuery))) == 0 {
		return p, nil
	}
	problems, err := prepare(compiler, store, problemsQuery)
	p.problems = &problems
	return p, err
}

// newCompiler is the compiler of policies and of their tests.
func newCompiler(capabilities *ast.Capabilities) *ast.Compiler {
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, inputSchema())
	return ast.NewCompiler().WithCapabilities(capabilities).WithStrict(true).WithSchemas(schemas)
}

// store holds the data of a policy.
func (s source) store() storage.Store {
	return inmem.NewFromObjectWithOpts(s.data, inmem.OptReturnASTValuesOnRead(true))
}

// inStore has f compile in a transaction of the store, so that a rule cannot hide data of the same name.
func inStore(store storage.Store, compiler *ast.Compiler, f func(storage.Transaction) error) error {
	return storage.Txn(context.Background(), store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		compiler.WithPathConflictsCheck(storage.NonEmpty(context.Background(), store, txn))
		return f(txn)
	})
}

// findProblems asks the policy what is wrong with its data.
func (p *Policy) findProblems(options ...rego.EvalOption) ([]string, error) {
	found, err := p.evaluate(context.Background(), *p.problems, ast.NewObject(), problemsTimeout, options...)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", problemsQuery, err)
	}
	problems, err := texts(found)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", problemsQuery, err)
	}
	return problems, nil
}

// parseModules parses every text, and gathers what is wrong with any of them.
func parseModules(texts map[string]string, capabilities *ast.Capabilities) (map[string]*ast.Module, error) {
	modules := make(map[string]*ast.Module, len(texts))
	var wrong ast.Errors
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		module, err := ast.ParseModuleWithOpts(name, texts[name], ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities})
		var errs ast.Errors
		switch {
		case errors.As(err, &errs):
			wrong = append(wrong, errs...)
		case err != nil:
			return nil, err
		case module == nil:
			wrong = append(wrong, ast.NewError(ast.ParseErr, ast.NewLocation(nil, name, 1, 1), "empty module"))
		default:
			modules[name] = module
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return modules, nil
}

// policyCapabilities is OPA's language without the built-in functions that reach out, and without remote schemas.
func policyCapabilities(network bool) *ast.Capabilities {
	capabilities := *ast.CapabilitiesForThisVersion()
	capabilities.AllowNet = []string{}
	if network {
		return &capabilities
	}
	capabilities.Builtins = slices.DeleteFunc(slices.Clone(capabilities.Builtins), func(b *ast.Builtin) bool {
		return b.Name == ast.HTTPSend.Name || b.Name == ast.NetLookupIPAddr.Name
	})
	return &capabilities
}

// prepare readies one query. Errors of built-in functions are errors of the evaluation: OPA's default, undefined, would let a rule
// that denies on `f(x)` pass whenever f fails.
func prepare(compiler *ast.Compiler, store storage.Store, query string) (rego.PreparedEvalQuery, error) {
	if len(compiler.GetRules(ast.MustParseRef(query))) == 0 {
		return rego.PreparedEvalQuery{}, noRule(query)
	}
	return rego.New(
		rego.Query(query),
		rego.Compiler(compiler),
		rego.Store(store),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(context.Background())
}

var errUndefined = errors.New("undefined")

// evaluate answers with the decision document. Past the timeout, or when ctx ends, it is an error.
func (p *Policy) evaluate(ctx context.Context, query rego.PreparedEvalQuery, input ast.Value, timeout time.Duration, options ...rego.EvalOption) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// OPA's own watch of ctx is a goroutine per evaluation; this is a timer.
	interrupt := topdown.NewCancel()
	stop := context.AfterFunc(ctx, interrupt.Cancel)
	defer stop()

	options = append(options, rego.EvalParsedInput(input), rego.EvalExternalCancel(interrupt), rego.EvalMetrics(metrics.NoOp()))
	results, err := query.Eval(context.WithoutCancel(ctx), options...)
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, ctxErr
	}
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, errUndefined
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, errors.New("more than one result")
	}
	return results[0].Expressions[0].Value, nil
}
