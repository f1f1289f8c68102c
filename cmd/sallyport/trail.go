package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/gateway/audit"
)

// farewellTime is how long the receivers of checkpoints may take for the last one.
const farewellTime = 5 * time.Second

// assembleAudit opens the audit log and makes what sends its checkpoints away.
func (p *process) assembleAudit() (err error) {
	c := p.config
	cfg := c.Audit.Config
	if cfg.Key, err = c.SigningKey(); err != nil {
		return err
	}
	if cfg.Key == nil {
		p.logger.Warn("audit log is not signed", "error", errUnsigned)
	}
	if p.senders, err = c.Senders(p.logger, p.delivered); err != nil {
		return err
	}
	if len(p.senders) == 0 {
		p.logger.Warn("checkpoints of the audit log stay on this machine", "error", errKept)
	}
	cfg.Logger, cfg.OnCheckpoint = p.logger, p.send
	cfg.OnStall = func() { p.server.AuditStalled() } // which is there before the log is run
	if p.audit, err = audit.Open(cfg); err != nil {
		return c.Problem("audit.file", err)
	}
	return nil
}

// send sends a checkpoint to every receiver. It waits for none of them.
func (p *process) send(c audit.Checkpoint) {
	for _, s := range p.senders {
		s.Send(c)
	}
}

func (p *process) delivered(receiver string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	p.metrics.AuditDeliveries.Inc(receiver, result)
}

// startAudit runs the audit log and its senders.
func (p *process) startAudit(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { return p.audit.Run(ctx) })
	for _, s := range p.senders {
		group.Go(func() error { return s.Run(ctx) })
	}
}

// close closes what run has ended with: the audit log, whose last checkpoint still has to leave.
func (p *process) close() error {
	err := p.audit.Close()
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	for _, s := range p.senders {
		s.Flush(ctx) // what failed was said
	}
	return err
}

var (
	errUnsigned = errors.New("audit.key_file is not set: whoever can write the audit log can change it and make its checkpoints fit")
	errKept     = errors.New("audit.checkpoints is not set: whoever has this machine can change the audit log and sign it again")
)

// signed says whether checkpoints of the audit log prove anything to somebody else.
func (p *process) signed() error {
	if p.config.Audit.KeyFile == "" {
		return errUnsigned
	}
	return nil
}

// sent says whether checkpoints leave this machine.
func (p *process) sent() error {
	if len(p.senders) == 0 {
		return errKept
	}
	var errs []error
	for _, s := range p.senders {
		errs = append(errs, s.Err())
	}
	return errors.Join(errs...)
}
