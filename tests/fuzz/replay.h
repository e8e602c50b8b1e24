/* With REPLAY a target is a program of its own, which runs the files that are named to it:
 * include this behind the declaration of LLVMFuzzerTestOneInput. */
#ifndef REPLAY_H
#define REPLAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static int replay(int files, char **names)
{
    static uint8_t bytes[65536];
    for (int i = 0; i < files; i++) {
        FILE *file = fopen(names[i], "rb");
        if (file == NULL) {
            perror(names[i]);
            return 2;
        }
        const size_t size = fread(bytes, 1U, sizeof bytes, file);
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(bytes, size);
    }
    (void)printf("%d inputs\n", files);
    return 0;
}

#endif
