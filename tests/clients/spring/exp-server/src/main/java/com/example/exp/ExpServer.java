package com.example.exp;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Server B: what players have. */
@SpringBootApplication
public class ExpServer {
    public static void main(String[] args) {
        SpringApplication.run(ExpServer.class, args);
    }
}
