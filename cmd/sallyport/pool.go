package main

import (
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// poolConfig says how the statement workers are run: this program with workerCommand.
func (p *process) poolConfig() statement.Config {
	return statement.Config{
		Workers:      p.config.Statements.Workers,
		Timeout:      p.config.Timeouts.Decision,
		MaxTextBytes: p.config.Limits.TextBytes,
		Logger:       p.logger,
	}
}

// sources are what the statement workers and the sources of credentials count themselves.
func (p *process) sources() metrics.Sources {
	return metrics.Sources{
		RevocationsPending: func() float64 { return float64(p.issuers.pending()) },
		CredentialsReady:   func() float64 { return float64(p.issuers.stock()) },
		WorkerRestarts:     func() float64 { return float64(p.statements.Stats().Killed) },
		TextsAnalyzed:      func() float64 { return float64(p.statements.Stats().Analyzed) },
		TextCacheHits:      func() float64 { return float64(p.statements.Stats().Hits) },
		Catalogs:           p.catalogs.numbers,
		Places:             p.places.numbers,
		Hosts:              p.places.tried,
		Tails:              p.following,
		PolicyChecked:      func() float64 { return float64(p.policy.Status().CheckedAt.Unix()) },
	}
}
