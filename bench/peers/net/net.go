// SPDX-License-Identifier: BSL-1.0

// The server of bench/net.py with Go, on one processor as the others are.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
)

const (
	most    = 256 * 1024
	request = 1024
	piece   = 64
)

func echo(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, most)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if _, err = client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func answerInPieces(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, request)
	for {
		if _, err := io.ReadFull(client, buffer); err != nil {
			return
		}
		for at := 0; at < request; at += piece {
			if _, err := client.Write(buffer[at : at+piece]); err != nil {
				return
			}
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	serve := echo
	if len(os.Args) > 1 && os.Args[1] == "pieces" {
		serve = answerInPieces
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("LISTENING %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		client, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(client)
	}
}
