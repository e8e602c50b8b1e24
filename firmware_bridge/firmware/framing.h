/* Bytes on the wire <-> frames: COBS( version | type | seq | payload | CRC-16 ) 0x00.
 * Pure: no port, no clock, no state but the receive buffer of struct af_receiver. */
#ifndef AF_FRAMING_H
#define AF_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#define AF_FRAME_HEADER 3U
#define AF_FRAME_CRC 2U
#define AF_MAX_BODY (AF_FRAME_HEADER + AF_MAX_PAYLOAD + AF_FRAME_CRC)
#define AF_MAX_ENCODED (AF_MAX_BODY + 1U) /* COBS adds one byte below 254 */
#define AF_MAX_WIRE (AF_MAX_ENCODED + 1U) /* with the closing zero */

struct af_frame {
    uint8_t version;
    uint8_t type;
    uint8_t seq;
    uint8_t length; /* of the payload, at most AF_MAX_PAYLOAD */
    uint8_t payload[AF_MAX_PAYLOAD];
};

enum af_received { AF_RX_NONE, AF_RX_FRAME, AF_RX_BAD };

struct af_receiver {
    uint8_t buffer[AF_MAX_ENCODED];
    size_t length;
    bool overflow; /* too long to be a frame: skip to the next zero */
};

/* CRC-16/CCITT-FALSE; of "123456789" it is 0x29B1. */
uint16_t af_crc16(const uint8_t *data, size_t length);

/* Writes the frame with its closing zero; returns the byte count, 0 if the payload is too long. */
size_t af_frame_encode(const struct af_frame *frame, uint8_t wire[AF_MAX_WIRE]);

/* Reads one encoded frame (without the zero); false when it is damaged. */
bool af_frame_decode(const uint8_t *encoded, size_t length, struct af_frame *frame);

/* Takes one received byte; AF_RX_FRAME fills *frame, AF_RX_BAD reports a damaged one. */
enum af_received af_receive(struct af_receiver *rx, uint8_t byte, struct af_frame *frame);

#endif
