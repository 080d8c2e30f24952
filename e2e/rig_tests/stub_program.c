/* SPDX-License-Identifier: MIT */
/* Stands in for a program of Windows: writes its command line to the file VQ7_STUB_LOG, and ends
 * with the exit code VQ7_STUB_CODE if VQ7_STUB_FAILS is part of it. */
#include <windows.h>

static int Contains(const char *text, const char *part) {
    for (; *text; text++) {
        int i = 0;
        while (part[i] && text[i] == part[i])
            i++;
        if (!part[i])
            return 1;
    }
    return 0;
}

void StubEntry(void) {
    char path[MAX_PATH], fails[128], code[16];
    const char *line = GetCommandLineA();
    DWORD written, exit_code = 0;
    int i;
    fails[0] = code[1] = 0; // not by an initializer: that is memset's work, which isn't here
    code[0] = '0';
    GetEnvironmentVariableA("VQ7_STUB_LOG", path, sizeof(path));
    HANDLE log = CreateFileA(path, FILE_APPEND_DATA, FILE_SHARE_READ, NULL, OPEN_ALWAYS, 0, NULL);
    WriteFile(log, line, (DWORD)lstrlenA(line), &written, NULL);
    WriteFile(log, "\n", 1, &written, NULL);
    CloseHandle(log);
    GetEnvironmentVariableA("VQ7_STUB_FAILS", fails, sizeof(fails));
    GetEnvironmentVariableA("VQ7_STUB_CODE", code, sizeof(code));
    if (fails[0] && Contains(line, fails))
        for (i = 0; code[i]; i++)
            exit_code = exit_code * 10 + (DWORD)(code[i] - '0');
    ExitProcess(exit_code);
}
