package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/tail"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// farewellTime is how long the receivers of checkpoints may take for the last one, and those that follow the log for its end.
const farewellTime = 5 * time.Second

// assembleAudit opens the audit log and makes what sends its checkpoints away.
func (p *process) assembleAudit() (err error) {
	c := p.config
	cfg := c.Audit.Config
	if cfg.Key, err = c.SigningKey(); err != nil {
		return err
	}
	p.auditKey.Store(cfg.Key)
	if cfg.Key == nil {
		p.logger.Warn("audit log is not signed", "error", errUnsigned)
	}
	if p.senders, err = c.Senders(p.logger, p.delivered); err != nil {
		return err
	}
	if err := p.assembleTails(); err != nil {
		return err
	}
	if len(p.senders)+len(p.tails) == 0 {
		p.logger.Warn("checkpoints of the audit log stay on this machine", "error", errKept)
	}
	cfg.Logger, cfg.OnCheckpoint = p.logger, p.send
	cfg.OnStall = func() { p.server.AuditStalled() } // which is there before the log is run
	if p.audit, err = audit.Open(cfg); err != nil {
		return errors.Join(c.Problem("audit.file", err), p.closeCursors())
	}
	return nil
}

// assembleTails makes what follows the audit log, if anything does.
func (p *process) assembleTails() (err error) {
	c := p.config
	if p.tails, err = c.Followers(p.logger, buildVersion()); err != nil || len(p.tails) == 0 {
		return err
	}
	if p.cursors, err = tail.OpenDirectory(c.Audit.Tails.Directory); err != nil {
		return c.Problem("audit.tails.directory", err)
	}
	for _, t := range p.tails {
		t.Open(p.cursors)
	}
	return nil
}

func (p *process) closeCursors() error {
	if p.cursors == nil {
		return nil
	}
	return p.cursors.Close()
}

// send sends a checkpoint to every receiver, and tells those that follow how far the log is. It waits for none of them.
func (p *process) send(c audit.Checkpoint) {
	for _, t := range p.tails {
		t.Head(c.Events)
	}
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
	for _, t := range p.tails {
		group.Go(func() error { return t.Run(ctx) })
	}
}

// close closes what run has ended with: the audit log, whose last checkpoint still has to leave.
func (p *process) close() error {
	err := p.audit.Close()
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	var group sync.WaitGroup
	for _, t := range p.tails {
		group.Go(func() { t.Finish(ctx) })
	}
	for _, s := range p.senders {
		s.Flush(ctx) // what failed was said
	}
	group.Wait()
	return errors.Join(err, p.closeCursors(), p.refusals.Close())
}

var (
	errUnsigned = errors.New("audit.key_file is not set: whoever can write the audit log can change it and make its checkpoints fit")
	errKept     = errors.New("neither audit.checkpoints nor audit.tails is set: whoever has this machine can change the audit log and sign it again")
)

// following is the numbers of those that follow the audit log.
func (p *process) following() []metrics.Tail {
	numbers := make([]metrics.Tail, len(p.tails))
	for i, t := range p.tails {
		s := t.Status()
		n := metrics.Tail{
			Receiver: s.Name, Delivered: s.Delivered, Lost: s.Lost, Behind: s.Behind, BehindTime: s.BehindTime, Failing: string(s.Class),
			Failures: make(map[string]uint64),
		}
		for _, class := range tail.Classes() {
			n.Failures[string(class)] = s.Failures[class]
		}
		numbers[i] = n
	}
	return numbers
}

// tailChecks says of each receiver that follows the audit log whether it fails or is behind.
func (p *process) tailChecks() []admin.Check {
	var checks []admin.Check
	for _, t := range p.tails {
		s := t.Status()
		checks = append(checks, advisory("audit_tail "+s.Name, s.Problem()))
	}
	return checks
}

// signed says whether checkpoints of the audit log prove anything to somebody else.
func (p *process) signed() error {
	if p.auditKey.Load() == nil {
		return errUnsigned
	}
	return nil
}

// sent says whether checkpoints leave this machine.
func (p *process) sent() error {
	if len(p.senders)+len(p.tails) == 0 {
		return errKept
	}
	var errs []error
	for _, s := range p.senders {
		errs = append(errs, s.Err())
	}
	return errors.Join(errs...)
}
