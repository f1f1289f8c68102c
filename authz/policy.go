package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
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

// Policy is one compiled policy with its data. It is immutable.
type Policy struct {
	revision  string
	files     []string
	cacheable bool
	connect   rego.PreparedEvalQuery
	statement rego.PreparedEvalQuery
}

// Revision identifies the files the policy was made of: a short hash of their names and contents.
func (p *Policy) Revision() string { return p.revision }

// Cacheable says that a statement decision depends on nothing but its input: no clock, no network, no randomness.
func (p *Policy) Cacheable() bool { return p.cacheable }

// compile makes a policy of its source. Compilation is strict (unused variables and imports are errors), and the type checker knows
// the input document: a field that does not exist is an error here, not a rule that never holds.
func compile(s source, network bool) (*Policy, error) {
	capabilities := policyCapabilities(network)
	modules, err := parseModules(s.modules, capabilities)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(s.data, inmem.OptReturnASTValuesOnRead(true))
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, inputSchema())

	compiler := ast.NewCompiler().WithCapabilities(capabilities).WithStrict(true).WithSchemas(schemas)
	err = storage.Txn(context.Background(), store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		compiler.WithPathConflictsCheck(storage.NonEmpty(context.Background(), store, txn)).Compile(modules)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if compiler.Failed() {
		return nil, compiler.Errors
	}
	p := &Policy{revision: s.revision, files: s.files}
	if p.connect, err = prepare(compiler, store, connectQuery); err != nil {
		return nil, err
	}
	if p.statement, err = prepare(compiler, store, statementQuery); err != nil {
		return nil, err
	}
	p.cacheable = deterministic(compiler, ast.MustParseRef(statementQuery))
	if len(compiler.GetRules(ast.MustParseRef(problemsQuery))) == 0 {
		return p, nil
	}
	problems, err := prepare(compiler, store, problemsQuery)
	if err != nil {
		return nil, err
	}
	return p, p.findProblems(problems)
}

func (p *Policy) findProblems(query rego.PreparedEvalQuery) error {
	found, err := p.evaluate(context.Background(), query, ast.NewObject(), problemsTimeout)
	if err != nil {
		return fmt.Errorf("evaluate %s: %w", problemsQuery, err)
	}
	problems, err := texts(found)
	if err != nil {
		return fmt.Errorf("read %s: %w", problemsQuery, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("policy data: %s", strings.Join(problems, "; "))
	}
	return nil
}

func parseModules(texts map[string]string, capabilities *ast.Capabilities) (map[string]*ast.Module, error) {
	modules := make(map[string]*ast.Module, len(texts))
	for name, text := range texts {
		module, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities})
		if err != nil {
			return nil, err
		}
		if module == nil {
			return nil, fmt.Errorf("%s: empty module", name)
		}
		modules[name] = module
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
		return rego.PreparedEvalQuery{}, fmt.Errorf("no rule defines %s", query)
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
func (p *Policy) evaluate(ctx context.Context, query rego.PreparedEvalQuery, input ast.Value, timeout time.Duration) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// OPA's own watch of ctx is a goroutine per evaluation; this is a timer.
	interrupt := topdown.NewCancel()
	stop := context.AfterFunc(ctx, interrupt.Cancel)
	defer stop()

	results, err := query.Eval(context.WithoutCancel(ctx), rego.EvalParsedInput(input), rego.EvalExternalCancel(interrupt))
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
