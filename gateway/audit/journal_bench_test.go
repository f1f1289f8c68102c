package audit

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// BenchmarkStatementAndOutcome is what both leaves of a statement cost, all that is done for them in the background included: to the CPU,
// and to those who wait for them.
func BenchmarkStatementAndOutcome(b *testing.B) {
	for _, test := range []struct{ name, path, journal string }{
		{"journal", "", "/dev/shm"}, {"writes", "", ""}, {"null", os.DevNull, ""},
	} {
		b.Run(test.name, func(b *testing.B) {
			l := runForBenchmark(b, test.path, test.journal)
			next := hotPairs()
			b.ReportAllocs()
			began := cpuTime()
			for b.Loop() {
				statement, outcome := next()
				if err := l.Append(statement); err != nil {
					b.Fatal(err)
				}
				if err := l.Append(outcome); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
		})
		b.Run(test.name+"/parallel", func(b *testing.B) {
			l := runForBenchmark(b, test.path, test.journal)
			b.SetParallelism(8) // times two processors
			b.ReportAllocs()
			began := cpuTime()
			b.RunParallel(func(pb *testing.PB) {
				next := hotPairs()
				for pb.Next() {
					statement, outcome := next()
					if err := l.Append(statement); err != nil {
						b.Error(err)
					}
					if err := l.Append(outcome); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkBareHashesAndWrites is what crypto/sha256 and write(2) take of the journal's case: the blocks that the two leaves and the two
// nodes above them are, and the write of their bytes with those that a checkpoint has for them, so many at once as one is for.
// Encoding them, and keeping them where a killed process does not lose them, is not in it.
func BenchmarkBareHashesAndWrites(b *testing.B) {
	const pair, inCheckpoint, hashed = 1022, 2 * 43, 4 * 2 * sha256.BlockSize
	file, err := os.OpenFile(filepath.Join(b.TempDir(), "audit.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	digest, lines := sha256.New(), make([]byte, maxUnsealed/2*(pair+inCheckpoint))
	began := cpuTime()
	for n := 1; b.Loop(); n++ {
		for block := 0; block < hashed; block += 2 * sha256.BlockSize { // as many as one hash is of
			_, _ = digest.Write(lines[block : block+2*sha256.BlockSize])
		}
		if n%(maxUnsealed/2) != 0 {
			continue
		}
		if _, err := file.Write(lines); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
}

// hotPairs are the hot events as a session has them one after the other: with numbers, durations and times of their own. The times are given,
// as the gateway does: it has read the clock for the durations.
func hotPairs() (next func() (*Statement, *Outcome)) {
	statement, outcome := hotEvents()
	statement.Time = time.Date(2026, 3, 2, 9, 14, 7, 0, time.UTC)
	statement.Number = 100_000
	return func() (*Statement, *Outcome) {
		statement.Number++
		wait := time.Duration(statement.Number%32) * time.Microsecond
		outcome.Number, outcome.JudgeDuration, outcome.WaitDuration = statement.Number, 9*time.Microsecond, wait
		outcome.Duration = 400*time.Microsecond + 7*wait
		outcome.Time = statement.Time.Add(outcome.Duration)
		statement.Time = outcome.Time.Add(50 * time.Microsecond)
		return statement, outcome
	}
}

// runForBenchmark runs a log until the benchmark ends.
func runForBenchmark(b *testing.B, path, journal string) *Log {
	if path == "" {
		path = filepath.Join(b.TempDir(), "audit.log")
	}
	l, err := Open(Config{Path: path, Journal: journal})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = l.Run(ctx) })
	b.Cleanup(func() {
		stop()
		group.Wait()
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	return l
}
