package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// maxPasswordBytes is what clients can be trusted to send whole: PgBouncer's MAX_PASSWORD less its NUL.
const maxPasswordBytes = 2047

// passwordSource says where a password comes from. The zero one asks the terminal.
type passwordSource struct{ stdin, generate bool }

func (s passwordSource) read(user string, stdin io.Reader) (string, error) {
	var password string
	var err error
	switch {
	case s.generate:
		return rand.Text(), nil // 130 bits, letters and digits
	case s.stdin:
		password, err = readLine(stdin)
	default:
		password, err = askTwice(user)
	}
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > maxPasswordBytes:
		return "", fmt.Errorf("the password is longer than %d bytes", maxPasswordBytes)
	case strings.IndexByte(password, 0) >= 0:
		return "", errors.New("the password has a NUL, which no client can send")
	}
	return password, nil
}

// readLine reads one line, without its line break, and no more of a longer one than shows that it is too long.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPasswordBytes+3)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// askTwice asks on the terminal that the command was called from, wherever standard input comes from, as psql and passwd do.
func askTwice(user string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errors.New("there is no terminal to ask for the password on: use --stdin or --generate")
	}
	defer tty.Close()
	restore, err := restoreWhenInterrupted(tty)
	if err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	defer restore()
	first, err := ask(tty, fmt.Sprintf("Password for user %q: ", user))
	if err != nil {
		return "", err
	}
	second, err := ask(tty, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the passwords are not the same; nothing was changed")
	}
	return first, nil
}

// ask reads one line without showing it.
func ask(tty *os.File, prompt string) (string, error) {
	fmt.Fprint(tty, prompt)
	password, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	return string(password), nil
}

// restoreWhenInterrupted sees to it that a terminal shows again what is typed when its user gives up with Ctrl-C.
func restoreWhenInterrupted(tty *os.File) (stop func(), err error) {
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return nil, err
	}
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case <-signals:
			_ = term.Restore(int(tty.Fd()), state)
			fmt.Fprintln(tty)
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return func() { signal.Stop(signals); close(done) }, nil
}
