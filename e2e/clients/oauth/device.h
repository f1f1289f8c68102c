#ifndef DEVICE_H
#define DEVICE_H

// A device flow (RFC 8628): a person types a code on the provider's page, and the device asks for the token until that has happened.
struct device;

enum device_state { DEVICE_WAITS, DEVICE_DONE, DEVICE_FAILED };

// device_begin reads the provider's discovery document, asks for a code and shows it on standard error. It returns NULL after it has
// said there what was wrong. scope may be NULL.
struct device *device_begin(const char *configuration, const char *client, const char *scope);

// device_step asks for the token if it is time to.
enum device_state device_step(struct device *device);

// device_timer is a descriptor that becomes readable when it is time for the next step.
int device_timer(const struct device *device);

// device_token is the access token once device_step has said DEVICE_DONE. It belongs to the caller.
char *device_token(struct device *device);

void device_end(struct device *device);

#endif
