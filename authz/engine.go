package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
)

// defaultTimeout bounds one evaluation. The default policy takes well under a millisecond; what takes half a second is a policy that
// loops over something a client chose, and the client waits for it.
const defaultTimeout = 500 * time.Millisecond

// Config is what an Engine needs. It is copied by New.
type Config struct {
	// Directory holds the policy: every .rego file except _test.rego, and every .json, .yaml and .yml file as data. One flat directory:
	// hidden entries and testdata are skipped, any other directory inside is an error.
	Directory string

	// Bundle is where the policy comes from when it is not a directory of this machine.
	Bundle *BundleConfig

	// Timeout bounds one evaluation; 0 = 500 ms.
	Timeout time.Duration

	// InsecureAllowNetwork gives policies http.send and net.lookup_ip_addr. Without it a policy that uses them does not load: a policy
	// that asks the network on every statement makes somebody else's server decide, and its slowness ours.
	InsecureAllowNetwork bool

	// OnReload, if set, is called after every Reload that changed something or failed, from the goroutine that reloaded.
	OnReload func(Status)

	Logger *slog.Logger // nil = discard
}

// Engine decides by the policy of a directory or a bundle. It is safe for concurrent use; a decision is made by the one policy that was current
// when it began.
type Engine struct {
	cfg    Config
	codec  codec
	origin origin
	policy atomic.Pointer[Policy]

	reloading sync.Mutex // one Reload at a time
	mu        sync.Mutex // guards status
	status    Status
}

// Status is what the engine decides by, and whether the directory holds something newer that cannot be used.
type Status struct {
	Revision string    // of the policy in use
	LoadedAt time.Time // when it was put in use
	Files    []string  // base names it was made of, sorted
	Err      error     // why the last reload failed; nil when the policy in use is what the directory or the bundle's server holds
	FailedAt time.Time // when it first failed; zero when Err is nil

	CheckedAt time.Time // when the origin was last found to hold what is in use
}

// New loads the policy and checks it on sample inputs. A directory without a valid policy is an error: there is no default. A bundle
// that cannot be had is what was kept of it last, if anything was.
func New(cfg Config) (*Engine, error) {
	e, err := newEngine(cfg)
	if err != nil {
		return nil, err
	}
	if err := e.begin(); err != nil {
		return nil, err
	}
	if cfg.InsecureAllowNetwork {
		e.cfg.Logger.Warn("policies may use the network", "directory", cfg.Directory)
	}
	return e, nil
}

// newEngine checks the configuration; it has no policy yet.
func newEngine(cfg Config) (*Engine, error) {
	if cfg.Directory != "" {
		cfg.Directory = filepath.Clean(cfg.Directory)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("policy timeout is negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	codec, err := newCodec()
	if err != nil {
		return nil, fmt.Errorf("describe policy input: %w", err)
	}
	origin, err := newOrigin(&cfg)
	if err != nil {
		return nil, err
	}
	return &Engine{cfg: cfg, codec: codec, origin: origin}, nil
}

// Policy is the policy in use.
func (e *Engine) Policy() *Policy { return e.policy.Load() }

// Status reports what is in use and the last failure to replace it.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// Connect decides about a connection. An error is not a decision: the caller refuses with SQLSTATE 58000 and logs the error, which is
// not for the client's eyes. Version and Action of the input are set by the engine. It is remembered as Statement's is.
func (e *Engine) Connect(ctx context.Context, input *ConnectInput) (*ConnectDecision, error) {
	p := e.Policy()
	if p.connects == nil {
		return e.connectBy(ctx, p, input)
	}
	key := p.connects.key(input)
	if decision, ok := p.connects.made.Get(key); ok {
		return decision.clone(), nil
	}
	decision, err := e.connectBy(ctx, p, input)
	if err != nil {
		return nil, err
	}
	return p.connects.made.Put(key, decision, decision.size()+len(key)).clone(), nil
}

// ConnectClaimed is Connect for a client that has not proved to be who it says: it is never answered from memory, nor kept. How long that
// takes would tell such a client who has come before it.
func (e *Engine) ConnectClaimed(ctx context.Context, input *ConnectInput) (*ConnectDecision, error) {
	return e.connectBy(ctx, e.Policy(), input)
}

// Statement decides about a text, as Connect does about a connection. A decision that depends on nothing but what it was asked with is
// remembered, as long as the policy is in use: the next one who asks the same, from whichever session, gets it again.
func (e *Engine) Statement(ctx context.Context, input *StatementInput) (*StatementDecision, error) {
	p := e.Policy()
	if !p.cacheable || input.Statement == nil {
		return e.statementBy(ctx, p, input)
	}
	asked := p.about(input.key(p), input.Statement)
	if decision, ok := p.decisions.Get(asked); ok {
		return decision, nil
	}
	decision, err := e.statementBy(ctx, p, input)
	if err != nil {
		return nil, err
	}
	return p.decisions.Put(asked, decision, asked.size(input.Statement, decision)), nil
}

func (e *Engine) connectBy(ctx context.Context, p *Policy, input *ConnectInput, options ...rego.EvalOption) (*ConnectDecision, error) {
	in := *input
	in.Version, in.Action = ContractVersion, "connect"
	document, err := p.evaluate(ctx, p.connect, e.codec.connect(&in), e.cfg.Timeout, options...)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", connectQuery, err)
	}
	decision, err := decodeConnect(document)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", connectQuery, err)
	}
	decision.Revision = p.revision
	return decision, nil
}

func (e *Engine) statementBy(ctx context.Context, p *Policy, input *StatementInput, options ...rego.EvalOption) (*StatementDecision, error) {
	if input.Statement == nil {
		return nil, errors.New("statement decision without a fact sheet")
	}
	asker := input.askerOf(p)
	if asker.who == nil {
		in := *input
		in.Version, in.Action = ContractVersion, "statement"
		asker.who = e.codec.who(&in)
	}
	findings := p.rules.findings(asker.extents)
	options = append([]rego.EvalOption{rego.EvalVirtualCache(findings)}, options...)
	document, err := p.evaluate(ctx, p.statement, e.codec.statement(asker.who, input), e.cfg.Timeout, options...)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", statementQuery, err)
	}
	asker.extents = findings.keep()
	decision, err := decodeStatement(document)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", statementQuery, err)
	}
	decision.Revision, decision.Cacheable = p.revision, p.cacheable
	return decision, nil
}

// begin puts the first policy in use.
func (e *Engine) begin() error {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	policy, source, err := e.load(ctx, e.origin.read)
	if err == nil {
		e.adopt(policy)
		e.keep(source)
		return nil
	}
	bundle, ok := e.origin.(*bundleOrigin)
	if !ok {
		return err
	}
	policy, _, cacheErr := e.load(ctx, bundle.readCache)
	if cacheErr != nil {
		return errors.Join(err, cacheErr)
	}
	e.adopt(policy)
	_ = e.reject(err) // is in the status and the log
	return nil
}

// load makes a policy of what read returns.
func (e *Engine) load(ctx context.Context, read func(context.Context) (source, error)) (*Policy, source, error) {
	source, err := read(ctx)
	if err != nil {
		return nil, source, fmt.Errorf("read policy: %w", err)
	}
	policy, err := e.make(source)
	return policy, source, err
}

// make makes a policy and checks it on the samples.
func (e *Engine) make(source source) (*Policy, error) {
	policy, err := compile(source, e.cfg.InsecureAllowNetwork)
	if err != nil {
		return nil, fmt.Errorf("compile policy: %w", err)
	}
	if err := e.check(policy); err != nil {
		return nil, fmt.Errorf("check policy: %w", err)
	}
	return policy, nil
}

// check evaluates both decisions on inputs of every kind a gateway asks about, so that a policy with a typo in its decision document
// is refused when it is loaded and not when the first client comes.
func (e *Engine) check(p *Policy) error {
	for _, sample := range e.samples(p) {
		if err := sample.ask(); err != nil {
			return fmt.Errorf("sample %q: %w", sample.name, err)
		}
	}
	return nil
}

// sample is a question that a policy must have an answer to.
type sample struct {
	name, query string
	ask         func() error
}

func (e *Engine) samples(p *Policy) []sample {
	var all []sample
	connects := sampleConnects()
	for _, name := range slices.Sorted(maps.Keys(connects)) {
		all = append(all, sample{name, connectQuery, func() error {
			_, err := e.connectBy(context.Background(), p, connects[name])
			return err
		}})
	}
	statements := sampleStatements()
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		all = append(all, sample{name, statementQuery, func() error {
			_, err := e.statementBy(context.Background(), p, statements[name])
			return err
		}})
	}
	return all
}
