#include "framing.h"

uint16_t af_crc16(const uint8_t *data, size_t length)
{
    /* A nibble table: 32 bytes of flash, a tenth of the time of the bitwise form. */
    static const uint16_t crc_nibble[16] = {
        0x0000U, 0x1021U, 0x2042U, 0x3063U, 0x4084U, 0x50A5U, 0x60C6U, 0x70E7U,
        0x8108U, 0x9129U, 0xA14AU, 0xB16BU, 0xC18CU, 0xD1ADU, 0xE1CEU, 0xF1EFU,
    };
    uint32_t crc = 0xFFFFU;
    for (size_t i = 0U; i < length; i++) {
        crc = (crc << 4) ^ crc_nibble[((crc >> 12) ^ ((uint32_t)data[i] >> 4)) & 0xFU];
        crc = (crc << 4) ^ crc_nibble[((crc >> 12) ^ data[i]) & 0xFU];
    }
    return (uint16_t)(crc & 0xFFFFU);
}

size_t af_frame_encode(const struct af_frame *frame, uint8_t wire[AF_MAX_WIRE])
{
    uint8_t body[AF_MAX_BODY];
    size_t length = AF_FRAME_HEADER;
    if (frame->length > AF_MAX_PAYLOAD) {
        return 0U;
    }
    body[0] = frame->version;
    body[1] = frame->type;
    body[2] = frame->seq;
    for (size_t i = 0U; i < frame->length; i++) {
        body[length] = frame->payload[i];
        length += 1U;
    }
    const uint16_t crc = af_crc16(body, length);
    body[length] = (uint8_t)(crc & 0xFFU);
    body[length + 1U] = (uint8_t)(crc >> 8);
    length += AF_FRAME_CRC;

    size_t code_at = 0U; /* where the distance to the next zero is written */
    for (size_t i = 0U; i < length; i++) {
        if (body[i] == 0U) {
            wire[code_at] = (uint8_t)(i + 1U - code_at);
            code_at = i + 1U;
        } else {
            wire[i + 1U] = body[i];
        }
    }
    wire[code_at] = (uint8_t)(length + 1U - code_at);
    wire[length + 1U] = 0U;
    return length + 2U;
}

/* Undoes COBS into body; returns its length, 0 when the input is damaged. */
static size_t cobs_decode(const uint8_t *encoded, size_t length, uint8_t body[AF_MAX_BODY])
{
    size_t next_code = 0U;
    if ((length < 2U) || (length > AF_MAX_ENCODED)) {
        return 0U;
    }
    for (size_t i = 0U; i < length; i++) {
        if (encoded[i] == 0U) {
            return 0U;
        }
        if (i == next_code) {
            if (i > 0U) {
                body[i - 1U] = 0U;
            }
            next_code = i + encoded[i];
        } else {
            body[i - 1U] = encoded[i];
        }
    }
    return (next_code == length) ? (length - 1U) : 0U;
}

bool af_frame_decode(const uint8_t *encoded, size_t length, struct af_frame *frame)
{
    uint8_t body[AF_MAX_BODY];
    const size_t size = cobs_decode(encoded, length, body);
    if (size < (AF_FRAME_HEADER + AF_FRAME_CRC)) {
        return false;
    }
    const size_t content = size - AF_FRAME_CRC;
    const uint32_t crc = (uint32_t)body[content] | ((uint32_t)body[content + 1U] << 8);
    if (crc != af_crc16(body, content)) {
        return false;
    }
    frame->version = body[0];
    frame->type = body[1];
    frame->seq = body[2];
    frame->length = (uint8_t)(content - AF_FRAME_HEADER);
    for (size_t i = 0U; i < frame->length; i++) {
        frame->payload[i] = body[AF_FRAME_HEADER + i];
    }
    return true;
}

enum af_received af_receive(struct af_receiver *rx, uint8_t byte, struct af_frame *frame)
{
    if (byte != 0U) {
        if (rx->length < AF_MAX_ENCODED) {
            rx->buffer[rx->length] = byte;
            rx->length += 1U;
        } else {
            rx->overflow = true;
        }
        return AF_RX_NONE;
    }
    const size_t length = rx->length;
    const bool overflow = rx->overflow;
    rx->length = 0U;
    rx->overflow = false;
    if (length == 0U) {
        return AF_RX_NONE; /* two zeros in a row: the sender cleared its line */
    }
    return (!overflow && af_frame_decode(rx->buffer, length, frame)) ? AF_RX_FRAME : AF_RX_BAD;
}
