// Command otlpdev receives OTLP logs over HTTP with the OpenTelemetry Collector's own receiver, and appends each request to a file, as its
// file exporter does. It is for tests.
//
//	otlpdev ADDRESS CERTIFICATE KEY CLIENT_CA FILE
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "otlpdev:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("want ADDRESS CERTIFICATE KEY CLIENT_CA FILE")
	}
	file, err := os.OpenFile(args[4], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": map[string]any{
		"endpoint": args[0],
		"tls":      map[string]any{"cert_file": args[1], "key_file": args[2], "client_ca_file": args[3]},
	}}}).Unmarshal(config); err != nil {
		return err
	}
	keep, err := consumer.NewLogs(func(_ context.Context, l plog.Logs) error { return write(file, l) })
	if err != nil {
		return err
	}
	settings := receiver.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(), BuildInfo: component.NewDefaultBuildInfo(),
	}
	r, err := factory.CreateLogs(context.Background(), settings, config, keep)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := r.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	<-ctx.Done()
	return r.Shutdown(context.Background())
}

// write appends a request as a line of JSON, as the collector's file exporter does.
func write(file *os.File, l plog.Logs) error {
	line, err := (&plog.JSONMarshaler{}).MarshalLogs(l)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return err
}
