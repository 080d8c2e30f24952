# SPDX-License-Identifier: MIT
# pipe.ps1 HOST PORT NAME: gives a TCP port out as the named pipe \\.\pipe\NAME, to one debugger
# after another (windbg -k com:pipe,port=\\.\pipe\NAME,resets=0,reconnect). Ctrl-C ends it.
# PowerShell 3 or newer, for .NET 4.5's CopyToAsync.
param([string]$HostName = '127.0.0.1', [int]$Port = 4440, [string]$Name = 'vq7')
$ErrorActionPreference = 'Stop'
while ($true) {
    $pipe = New-Object IO.Pipes.NamedPipeServerStream($Name, 'InOut', 1, 'Byte', 'Asynchronous')
    try {
        $pipe.WaitForConnection()
        $tcp = New-Object Net.Sockets.TcpClient($HostName, $Port)
        $tcp.NoDelay = $true
        $stream = $tcp.GetStream()
        $ways = @($pipe.CopyToAsync($stream), $stream.CopyToAsync($pipe))
        [void][Threading.Tasks.Task]::WaitAny([Threading.Tasks.Task[]]$ways)
        $tcp.Close()
        Write-Host 'the debugger, or the machine, has gone; the next one may come'
    } finally {
        $pipe.Dispose()
    }
}
