package main

import "github.com/sallyport/sallyport/authz/statement"

// poolConfig says how the statement workers are run.
func (p *process) poolConfig() statement.Config {
	return statement.Config{Workers: p.config.Statements.Workers, Logger: p.logger}
}
